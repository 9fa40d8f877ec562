import { mkdtemp, open as openFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IoBackend } from "@stonewal/io";
import { pwrite } from "@stonewal/io-pwrite";
import { encodeAnchor } from "@stonewal/record";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openReader, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, collect, recordsOf, text } from "./outcome.js";

/** The same on real files, through the real back end. */

let directory: string;
let io: IoBackend;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "stonewal-recovery-"));
  io = pwrite();
});

afterEach(async () => {
  await io.close();
  await rm(directory, { recursive: true, force: true });
});

async function plant(log: LogBuilder): Promise<void> {
  for (const segment of log.segments) await writeFile(join(directory, segment.name), segment.bytes);
  await writeFile(join(directory, "anchor"), encodeAnchor(log.anchor!));
}

async function overwrite(name: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await openFile(join(directory, name), "r+");
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

function logOf(records: number): LogBuilder {
  const log = new LogBuilder({ blocks: 64 });
  log.open();
  for (let i = 1; i <= records; i++) {
    if (log.offset + BLOCK > log.segmentBytes) log.roll();
    log.frame([`r${i}`]);
  }
  return log;
}

describe("on real files", () => {
  it("a torn tail is cleared, a torn frame comes back from the double-write buffer, and damage is refused", async () => {
    const log = logOf(100);
    const torn = log.frame([payload(`r101${"x".repeat(9000)}`)]);
    await plant(log);
    await overwrite(log.current.name, torn.offset + BLOCK, new Uint8Array(BLOCK));
    await overwrite(log.current.name, log.offset, new Uint8Array(2 * BLOCK).fill(0x5a));
    await protect(io, [torn], { path: join(directory, "dwb"), directory });
    expect(await recordsOf(io, directory)).toHaveLength(101);
    const recovered = (await recoverLog({ io, directory }))!;
    expect(recovered.report.restored).toHaveLength(1);
    expect(await verifyLog({ io, directory })).toMatchObject({
      records: 101,
      tornTail: false,
      corruption: [],
    });
    await rm(join(directory, "dwb"));
    expect(await recordsOf(io, directory)).toHaveLength(101);
    await overwrite(log.segments[0]!.name, log.frames[3]!.offset + 200, Uint8Array.of(0xff));
    expect(await codeOf(recoverLog({ io, directory }))).toBe("WAL_CORRUPT");
  });

  it("past the page cache and through it the same is read", async () => {
    await plant(logOf(150));
    for (const direct of [true, false]) {
      const reader = await openReader({ io, directory, direct });
      for (const asked of [true, false]) {
        const canBeDirect = (await io.probe(directory)).direct !== undefined;
        const records = await collect(reader.replay({ direct: asked && canBeDirect }), text);
        expect(records).toEqual(Array.from({ length: 150 }, (_, i) => `r${i + 1}`));
      }
      await reader.close();
    }
  });

  it("a follower in another process's shoes sees what a writer adds", async () => {
    const log = logOf(3);
    await plant(log);
    const lock = await io.lock(join(directory, "lock"));
    const reader = await openReader({ io, directory, pollMs: 2 });
    const iterator = reader.follow({ from: 4 });
    const next = iterator.next();
    const added = log.frame(["r4"]);
    await overwrite(log.current.name, added.offset, added.bytes);
    const idle = log.frame([], { kind: "idle" });
    await overwrite(log.current.name, idle.offset, idle.bytes);
    expect(text((await next).value!)).toBe("r4");
    await iterator.return!();
    await reader.close();
    await lock.release();
  });

  it("reading takes no write permission and leaves no trace", async () => {
    const log = logOf(3);
    await plant(log);
    const before = await stat(join(directory, log.current.name));
    expect(await recordsOf(io, directory)).toHaveLength(3);
    const after = await stat(join(directory, log.current.name));
    expect(after.mtimeMs).toBe(before.mtimeMs);
  });
});
