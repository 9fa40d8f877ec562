import { expect, test } from "vitest";
import { bytes, lastSegment, lastUsedBlock, makeDisk, openOn, textsOf } from "./support/sim-log.js";

const OFFERED = { min: 4096, max: 65536 };
test("the price of 'auto': a commit that rots is put back from its copy by default, and has none with untorn writes", async () => {
  const open = async (dwb: "direct" | "auto") => {
    const disk = makeDisk({ crashPolicy: "none", untornWriteBytes: OFFERED });
    const wal = await openOn(disk, { dwb });
    for (const text of ["a", "b", "c"]) await wal.commit({ payload: bytes(text) });
    disk.crash();
    const path = lastSegment(disk);
    disk.corrupt(path, lastUsedBlock(disk, path) - 4096 + 300, Uint8Array.of(0xaa));
    return openOn(disk, { dwb });
  };
  expect(await textsOf(await open("direct"))).toEqual(["1:a", "2:b", "3:c"]);
  await expect(open("auto")).rejects.toMatchObject({ code: "WAL_CORRUPT" });
});

test("a commit that fits an untorn write is written once; one that doesn't still has its copy first", async () => {
  const disk = makeDisk({ untornWriteBytes: OFFERED });
  const wal = await openOn(disk, { dwb: "auto" });
  const before = wal.stats();
  expect(before.untornWriteBytes).toEqual(OFFERED);
  await wal.commit({ payload: bytes("one block") });
  const small = wal.stats();
  expect(small.untornFrames - before.untornFrames).toBe(1);
  expect(small.dwbBytesWritten).toBe(before.dwbBytesWritten);
  const from = disk.trace.length;
  await wal.commit({ payload: new Uint8Array(9000) });
  const large = wal.stats();
  expect(large.protectedFrames - small.protectedFrames).toBe(1);
  expect(large.untornFrames).toBe(small.untornFrames);
  const written = disk.trace.slice(from).filter((line) => / (write|synced) /.test(line));
  expect(written[0]).toContain("write /log/dwb");
  expect(written[1]).toContain("synced /log/dwb");
  await wal.close();
});

test.each([
  ["the device promises nothing", {}, { direct: true }],
  ["the log is written buffered", { untornWriteBytes: OFFERED }, { direct: false }],
] as const)("'auto' copies every frame, as by default, where %s", async (_, diskOptions, options) => {
  const traceOf = async (mode: "auto" | undefined) => {
    const disk = makeDisk(diskOptions);
    const wal = await openOn(disk, { ...options, dwb: mode === undefined ? {} : { mode } });
    for (let i = 0; i < 20; i += 1) await wal.commit({ payload: new Uint8Array(i * 700) });
    const { untornFrames, untornWriteBytes, protectedFrames } = wal.stats();
    expect({ untornFrames, untornWriteBytes }).toEqual({ untornFrames: 0, untornWriteBytes: undefined });
    expect(protectedFrames).toBeGreaterThan(20);
    await wal.close();
    return disk.trace;
  };
  expect(await traceOf("auto")).toEqual(await traceOf(undefined));
});
