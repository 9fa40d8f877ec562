import { writeKeyFile } from "../key-file.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { Output } from "./output.js";

/** Makes a key file. */
export async function keygen(file: string): Promise<ExitCode> {
  await writeKeyFile(file);
  const output = new Output(process.stdout);
  await output.write(
    `a new key is in ${file}; without it nothing that is encrypted with it can ever be read\n`,
  );
  await output.flush();
  return EXIT.fine;
}
