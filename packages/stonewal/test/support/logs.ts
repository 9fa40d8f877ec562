import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type OpenWalOptions, openWal, type Wal } from "../../src/index.js";
import { segments } from "./files.js";

/** Small segments, so that a log of several of them is quickly made, copied and read. */
export const SMALL: Omit<OpenWalOptions, "dir"> = {
  segmentBytes: 524_288,
  frameBytes: 65_536,
  bufferBytes: 524_288,
};

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `line 1` and so on, each distinct and of its own length. */
export function line(lsn: number): string {
  return `line ${lsn} ${"abcdefghij".repeat(lsn % 7)}`;
}

/** What `cat` prints of the records `from` to `to` of a log that `commitLines` made. */
export function printed(to: number, from = 1): string {
  let text = "";
  for (let lsn = from; lsn <= to; lsn++) text += `${line(lsn)}\n`;
  return text;
}

/** Commits `count` lines, each in a frame of its own. */
export async function commitLines(wal: Wal, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await wal.commit({ payload: bytes(line(wal.nextLsn)) });
}

/** A log of `count` lines, closed. */
export async function closedLog(
  dir: string,
  count: number,
  options: Partial<OpenWalOptions> = {},
): Promise<void> {
  const wal = await openWal({ dir, ...SMALL, ...options });
  await commitLines(wal, count);
  await wal.close();
}

/**
 * What a crash leaves of a log of `count` lines, all of them acknowledged, in `image`: the files as they are while the writer
 * is at work. It writes past the page cache, so that is what the disk has.
 *
 * Resolves to what the segment holds once the same writer has committed `next` too: where the image ends lie the bytes of a
 * write that a crash may have interrupted.
 */
export async function crashImage(
  dir: string,
  image: string,
  count: number,
  options: Partial<OpenWalOptions> = {},
  next: readonly Uint8Array[] = [bytes("next ".repeat(3000))],
): Promise<Buffer> {
  const wal = await openWal({ dir, ...SMALL, idleMs: 0, ...options });
  await commitLines(wal, count);
  copyDirectory(dir, image);
  for (const payload of next) wal.append({ payload });
  await wal.sync();
  const later = readFileSync(segments(dir).at(-1) as string);
  await wal.close();
  return later;
}

function copyDirectory(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyUnlessRenamed(join(from, name), join(to, name));
}

/** The writer gives a spare segment its name once it is zeroed, which may be between the listing and the copy. */
function copyUnlessRenamed(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (error) {
    if (!from.endsWith(".new") || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
