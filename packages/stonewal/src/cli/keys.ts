import { KeyRing } from "@stonewal/record";
import type { EncryptionOptions } from "@stonewal/recovery";
import { InvalidArgumentError, Option } from "commander";
import { readKeyFile } from "../key-file.js";
import { CliError } from "./failure.js";

/** A key file as given on the command line. */
interface KeyFile {
  readonly keyId: number;
  readonly path: string;
}

export interface KeyOptions {
  readonly keyFile?: readonly KeyFile[];
  readonly acceptUnencrypted?: boolean;
}

/** `FILE`, or `ID=FILE`. */
function keyFile(value: string, before: readonly KeyFile[] = []): readonly KeyFile[] {
  const [, digits, named] = /^(\d+)=(.+)$/s.exec(value) ?? [];
  const keyId = digits === undefined ? 1 : Number(digits);
  if (keyId < 1 || keyId > 0xffffffff)
    throw new InvalidArgumentError("A key id is a number from 1 to 4294967295.");
  if (before.some((other) => other.keyId === keyId)) {
    throw new InvalidArgumentError(`There are two files for key ${keyId}; older keys take ids: ID=FILE.`);
  }
  return [...before, { keyId, path: named ?? value }];
}

export const keyFileOption = (): Option =>
  new Option(
    "--key-file <[ID=]FILE>",
    "key of an encrypted log, id 1 if none is given; again for older ones: the first is what is written with",
  ).argParser(keyFile);

export const acceptUnencryptedOption = (): Option =>
  new Option("--accept-unencrypted", "take a log that isn't encrypted, too; what is written from now on is");

/** The keys that were given; `undefined`: none were. */
export async function encryptionOf({
  keyFile = [],
  acceptUnencrypted,
}: KeyOptions): Promise<EncryptionOptions | undefined> {
  const [first] = keyFile;
  if (first === undefined) {
    if (acceptUnencrypted) throw new CliError("CLI_USAGE", "--accept-unencrypted takes a --key-file");
    return undefined;
  }
  const keys = new Map<number, Uint8Array>();
  try {
    for (const { keyId, path } of keyFile) keys.set(keyId, await readKeyFile(path));
    return {
      keys: new KeyRing({ current: first.keyId, keys }),
      unencrypted: acceptUnencrypted ? "accept" : "refuse",
    };
  } finally {
    for (const key of keys.values()) key.fill(0);
  }
}
