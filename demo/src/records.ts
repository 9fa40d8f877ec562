import { createReadStream } from "node:fs";

/** A line longer than this becomes several records, so that any file can be logged with bounded memory. */
export const MAX_RECORD_BYTES = 64 * 1024;

const NEWLINE = 0x0a;

/**
 * The records that a file becomes: one per line, its newline included, so that the records one after another are the file
 * byte for byte, whether or not it ends in a newline. Record *n*, counted from 1, is to get LSN *n*.
 */
export async function* readRecords(file: string): AsyncGenerator<Buffer, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
    const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let start = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const lineEnd = newline === -1 ? bytes.length : newline + 1;
      const complete = newline !== -1;
      if (lineEnd - start > MAX_RECORD_BYTES) {
        yield bytes.subarray(start, start + MAX_RECORD_BYTES);
        start += MAX_RECORD_BYTES;
      } else if (complete) {
        yield bytes.subarray(start, lineEnd);
        start = lineEnd;
      } else break;
    }
    rest = bytes.subarray(start);
  }
  if (rest.length > 0) yield rest;
}

export interface FileSize {
  readonly records: number;
  readonly bytes: number;
}

export async function measure(file: string): Promise<FileSize> {
  let records = 0;
  let bytes = 0;
  for await (const record of readRecords(file)) {
    records += 1;
    bytes += record.length;
  }
  return { records, bytes };
}
