import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { KEY_BYTES } from "@stonewal/record";

/**
 * - `KEY_FILE_UNREADABLE`: it isn't there, or can't be read or written; `cause` is the file system's error.
 * - `KEY_FILE_REFUSED`: what is there is not to be trusted as a key: not exactly 32 bytes, not a regular file, a symbolic link,
 *   someone else's, or accessible to others than its owner.
 * - `KEY_FILE_EXISTS`: a key is not written over what is there.
 */
export type KeyFileErrorCode = "KEY_FILE_UNREADABLE" | "KEY_FILE_REFUSED" | "KEY_FILE_EXISTS";

/** Says nothing of what a file holds. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
  readonly code: KeyFileErrorCode;

  constructor(code: KeyFileErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const OTHERS = 0o077;

/**
 * The key in a file: exactly 32 bytes. The file is regular and not reached by a symbolic link, belongs to this process's user or to root, and nobody but its owner has
 * any right to it. Overwrite what is returned (`fill(0)`) once a `KeyRing` has it: the ring keeps a copy.
 *
 * @throws KeyFileError
 */
export async function readKeyFile(path: string): Promise<Uint8Array> {
  // A pipe in its place is refused, not waited for. What is checked is what is read: the open file, not its name.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ELOOP") throw refused(path, "is a symbolic link");
    throw new KeyFileError("KEY_FILE_UNREADABLE", `the key file can't be read: ${error.message}`, error);
  });
  const bytes = new Uint8Array(KEY_BYTES + 1);
  try {
    const stat = await file.stat();
    const { mode, size, uid } = stat;
    if (!stat.isFile()) throw refused(path, "is not a regular file");
    const me = process.geteuid?.();
    if (me !== undefined && uid !== me && uid !== 0)
      throw refused(path, `belongs to user ${uid}, not to ${me}`);
    if ((mode & OTHERS) !== 0) {
      throw refused(
        path,
        `has mode ${(mode & 0o777).toString(8)}: others than its owner have a right to it; chmod 600`,
      );
    }
    const { bytesRead } =
      size === KEY_BYTES ? await file.read(bytes, 0, bytes.length, 0) : { bytesRead: size };
    if (bytesRead !== KEY_BYTES) throw refused(path, `has ${bytesRead} bytes, not ${KEY_BYTES}`);
    return bytes.slice(0, KEY_BYTES);
  } finally {
    bytes.fill(0);
    await file.close();
  }
}

/**
 * Makes a key file with 32 random bytes of the operating system's, of mode 600. Resolves when it is durable: records encrypted with a key that is lost
 * with a power cut are lost too.
 *
 * @throws KeyFileError
 */
export async function writeKeyFile(path: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") {
      throw new KeyFileError(
        "KEY_FILE_EXISTS",
        `${path} is there already; a key is not written over it`,
        error,
      );
    }
    throw unwritable(error);
  });
  const key = randomBytes(KEY_BYTES);
  try {
    await file.writeFile(key);
    await file.sync();
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw unwritable(error as Error);
  } finally {
    key.fill(0);
    await file.close();
  }
  const directory = await open(dirname(path), constants.O_RDONLY).catch((error: Error) => {
    throw unwritable(error);
  });
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function refused(path: string, why: string): KeyFileError {
  return new KeyFileError("KEY_FILE_REFUSED", `the key file ${path} ${why}`);
}

function unwritable(error: Error): KeyFileError {
  return new KeyFileError("KEY_FILE_UNREADABLE", `the key file can't be written: ${error.message}`, error);
}
