import type { LogRecord } from "@stonewal/record";
import { openReader } from "../reading.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { CliError } from "./failure.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { jsonInteger } from "./numbers.js";
import { Output } from "./output.js";
import type { TipOptions } from "./tip.js";

export interface CatOptions extends KeyOptions, TipOptions, DwbPathOptions {
  readonly from?: number;
  readonly to?: number;
  readonly json?: boolean;
}

const NEWLINE = new Uint8Array([0x0a]);
/** Payload bytes encoded at a time: a multiple of three, so that only the last piece is padded. */
const BASE64_BYTES = 48 * 1024;

/** Prints records. What precedes a damaged place is printed before the failure that names it. */
export async function cat(dir: string, options: CatOptions): Promise<ExitCode> {
  const { from, to, json, atLeast, dwbPath } = options;
  if (from !== undefined && to !== undefined && from > to) {
    throw new CliError("CLI_USAGE", `--from ${from} is behind --to ${to}`);
  }
  const output = new Output(process.stdout);
  const print = json ? printJson : printPayload;
  const encryption = await encryptionOf(options);
  const reader = await openReader({ dir, dwbPath, damaged: "prefix", encryption, atLeast });
  try {
    for await (const records of reader.replayBatches({ from, to })) {
      for (const record of records) {
        const waiting = print(output, record);
        if (waiting !== undefined) await waiting;
      }
      if (output.gone) break;
    }
  } finally {
    await output.flush().finally(() => reader.close());
  }
  return EXIT.fine;
}

function printPayload(output: Output, { payload }: LogRecord): Promise<void> | undefined {
  if (output.tryWrite(payload, NEWLINE)) return undefined;
  return output.write(payload).then(() => output.write(NEWLINE));
}

function printJson(output: Output, record: LogRecord): Promise<void> | undefined {
  const { lsn, type, shard, time, payload } = record;
  const tenant = jsonInteger(record.tenant);
  const database = jsonInteger(record.database);
  const head = JSON.stringify({ lsn, type, tenant, shard, database, time, payload: "" }).slice(0, -2);
  if (payload.length > BASE64_BYTES) return printLong(output, head, payload);
  const line = Buffer.from(`${head}${base64(payload, 0, payload.length)}"}\n`, "latin1");
  return output.tryWrite(line) ? undefined : output.write(line);
}

async function printLong(output: Output, head: string, payload: Uint8Array): Promise<void> {
  await output.write(head);
  for (let at = 0; at < payload.length; at += BASE64_BYTES) {
    await output.write(base64(payload, at, Math.min(BASE64_BYTES, payload.length - at)));
  }
  await output.write('"}\n');
}

function base64(payload: Uint8Array, at: number, length: number): string {
  return Buffer.from(payload.buffer, payload.byteOffset + at, length).toString("base64");
}
