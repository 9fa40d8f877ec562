import type { IoBackend, IoFile, OpenOptions, Step } from "@stonewal/io";

/** What the tests do with a file, in one line each. */

export function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

export function writeStep(
  io: IoBackend,
  file: IoFile,
  offset: number,
  bytes: Uint8Array,
  durable = false,
): Step {
  const arena = io.arena(bytes.length);
  arena.bytes.set(bytes);
  return { kind: "write", file, region: { arena, start: 0, length: bytes.length }, offset, durable };
}

export async function put(
  io: IoBackend,
  file: IoFile,
  offset: number,
  bytes: Uint8Array,
  durable = false,
): Promise<void> {
  await io.submit([writeStep(io, file, offset, bytes, durable)]);
}

export async function get(io: IoBackend, file: IoFile, offset: number, length: number): Promise<Uint8Array> {
  const arena = io.arena(length);
  const count = await file.read({ arena, start: 0, length }, offset);
  return arena.bytes.slice(0, count);
}

/** A file that is durably there, with `bytes` in it. */
export async function durableFile(io: IoBackend, path: string, bytes: Uint8Array): Promise<IoFile> {
  const file = await io.open(path, { access: "create" });
  if (bytes.length > 0) await put(io, file, 0, bytes);
  await file.sync();
  await io.syncDirectory("/");
  return file;
}

export async function readAll(
  io: IoBackend,
  path: string,
  options: Partial<OpenOptions> = {},
): Promise<Uint8Array> {
  const file = await io.open(path, { access: "read", ...options });
  const size = await file.size();
  const bytes = await get(io, file, 0, Math.max(4096, Math.ceil(size / 4096) * 4096));
  await file.close();
  return bytes;
}

/** The code of the error that a promise rejects with; `resolved` if it does not. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}
