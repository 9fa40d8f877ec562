import { openWal } from "../open-wal.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { CliError } from "./failure.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { Output } from "./output.js";
import type { TipOptions } from "./tip.js";

/** Opens the log with another current key, which begins a segment that is written with it, and closes it. */
export async function rotate(
  dir: string,
  options: KeyOptions & TipOptions & DwbPathOptions,
): Promise<ExitCode> {
  const { atLeast, dwbPath } = options;
  const encryption = await encryptionOf(options);
  if (encryption === undefined)
    throw new CliError("CLI_USAGE", "rotate takes a --key-file, the new key first");
  const wal = await openWal({
    dir,
    create: false,
    encryption,
    atLeast,
    ...(dwbPath === undefined ? {} : { dwb: { path: dwbPath } }),
  });
  const { keyId, durableLsn } = wal;
  await wal.close();
  encryption.keys.destroy();
  const output = new Output(process.stdout);
  await output.write(`records behind LSN ${durableLsn} are written with key ${keyId}\n`);
  await output.flush();
  return EXIT.fine;
}
