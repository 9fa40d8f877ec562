let processBytes = 0;

export function countBytes(bytes: number): void {
  processBytes += bytes;
}

/** Bytes that all double-write buffers of this thread have written by their flushes since it was started. */
export function dwbBytesWritten(): number {
  return processBytes;
}
