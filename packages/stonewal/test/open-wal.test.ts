import { spawnSync } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, test } from "vitest";
import { withoutCall } from "../../io-uring/test/support/without-call.mjs";
import {
  backendChannel,
  backendNames,
  type IoBackend,
  inspect,
  openReader,
  openWal,
  planRepair,
  repair,
  salvageLog,
  verify,
} from "../src/index.js";
import { backendsHere } from "./support/backends-here.mjs";
import { scratch } from "./support/files.js";
import { bytes, SMALL } from "./support/logs.js";

/** What `auto` picks on this machine. */
const [best] = await backendsHere();

const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

test("append, commit, read, checkpoint, close: what a first program does", async () => {
  const dir = scratch();
  const wal = await openWal({ dir, ...SMALL });
  expect(wal.io.name).toBe(best);
  expect(wal.append({ payload: bytes("one") })).toBe(1);
  expect(await wal.commit({ payload: bytes("two"), type: 2, tenant: 3n, shard: 4, database: 5 })).toBe(2);
  await wal.flushUntil(2);
  expect(wal.durableLsn).toBe(2);
  const texts: string[] = [];
  for await (const record of wal.read({ from: 1, to: 2 })) texts.push(text(record.payload));
  expect(texts).toEqual(["one", "two"]);
  await wal.checkpoint(1);
  await wal.close();

  await using again = await openWal({ dir, ...SMALL, create: false });
  expect(again.durableLsn).toBe(2);
  expect(again.trimLsn).toBe(1);
});

test("called without options, every function that takes a directory refuses with a code", async () => {
  type Call = (options?: unknown) => Promise<unknown>;
  const calls = [openWal, openReader, verify, planRepair, repair, salvageLog, inspect] as unknown as Call[];
  for (const call of calls) {
    for (const options of [undefined, null]) {
      await expect(call(options)).rejects.toMatchObject({
        code: "WAL_ARGUMENT",
        message: "dir must be a path",
      });
    }
  }
});

describe("the back end", () => {
  test("made by openWal is closed with the log, and where opening fails", async () => {
    const dir = scratch();
    const wal = await openWal({ dir, ...SMALL });
    const { io } = wal;
    await expect(openWal({ dir, ...SMALL })).rejects.toMatchObject({ code: "WAL_LOCKED" });
    await wal.close();
    await expect(io.list(dir)).rejects.toMatchObject({ code: "IO_CLOSED" });
  });

  test("closed while a log or a reader is read is WAL_CLOSED to whoever reads on", async () => {
    const dir = scratch();
    const wal = await openWal({ dir, ...SMALL });
    await wal.commit({ payload: bytes("x") });
    const reading = wal.read();
    const following = wal.follow();
    await wal.close();
    await expect(reading.next()).rejects.toMatchObject({ code: "WAL_CLOSED" });
    await expect(following.next()).rejects.toMatchObject({ code: "WAL_CLOSED" });
    const reader = await openReader({ dir });
    const replaying = reader.replay();
    await reader.close();
    await expect(replaying.next()).rejects.toMatchObject({ code: "WAL_CLOSED" });
  });

  test("handed in stays open: it is its owner's", async () => {
    const io = new SimDisk({ seed: 1 }).mount();
    const wal = await openWal({ dir: "/log", io, ...SMALL });
    expect(wal.io).toBe(io);
    await wal.commit({ payload: bytes("x") });
    await wal.close();
    const reader = await openReader({ dir: "/log", io });
    expect(reader.lastLsn()).toBe(1);
    await reader.close();
    expect(await verify({ dir: "/log", io })).toMatchObject({ records: 1, corruption: [] });
    expect(await io.list("/log")).toContain("anchor");
  });

  test("that was picked is announced, with what was tried before", async () => {
    const refused =
      best === "io-uring" ? [] : [{ name: "io-uring", error: expect.objectContaining({ name: "IoError" }) }];
    const dir = scratch();
    const seen: unknown[] = [];
    const listen = (message: unknown) => seen.push(message);
    subscribe("stonewal:backend", listen);
    try {
      await (await openWal({ dir, ...SMALL })).close();
      await (await openWal({ dir, ...SMALL, io: "pwrite" })).close();
    } finally {
      unsubscribe("stonewal:backend", listen);
    }
    expect(backendChannel.hasSubscribers).toBe(false);
    expect(seen).toEqual([
      { directory: dir, name: best, tried: refused },
      { directory: dir, name: "pwrite", tried: [] },
    ]);
  });

  test.runIf(process.platform === "linux")(
    "where io_uring is refused, as in a container, is pwrite; and which was tried, and why, is told",
    () => {
      const program = `
        const { subscribe } = await import("node:diagnostics_channel");
        const seen = [];
        subscribe("stonewal:backend", ({ name, tried }) =>
          seen.push({ name, tried: tried.map(({ name, error }) => [name, error.code, error.message]) }));
        const { openWal } = await import(${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)});
        const wal = await openWal({ dir: "log" });
        const lsn = await wal.commit({ payload: new Uint8Array(1) });
        const { name } = wal.io;
        await wal.close();
        const asked = await openWal({ dir: "log", io: "io-uring" }).catch(({ code }) => code);
        console.log(JSON.stringify({ lsn, name, seen, asked }));`;
      const [launcher = "", ...flags] = withoutCall("io_uring_setup", "EPERM");
      const { stdout, stderr } = spawnSync(
        launcher,
        [...flags, process.execPath, "--input-type=module", "-e", program],
        { cwd: scratch(), encoding: "utf8" },
      );
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual({
        lsn: 1,
        name: "pwrite",
        seen: [
          { name: "pwrite", tried: [["io-uring", "IO_UNSUPPORTED", expect.stringContaining("seccomp")]] },
        ],
        asked: "IO_UNSUPPORTED",
      });
    },
  );

  test("where none works the failure says of each why, and nothing is left on disk", () => {
    const program = `
      Object.defineProperty(process, "platform", { value: "sunos" });
      const { openWal } = await import(${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)});
      const { code, message } = await openWal({ dir: "log" }).catch((error) => error);
      const named = await openWal({ dir: "log", io: "pwrite" }).catch((error) => error);
      console.log(JSON.stringify({ code, message, named: named.code }));`;
    const cwd = scratch();
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      code: "WAL_UNSUPPORTED",
      message: expect.stringMatching(
        /^no back end works here\. io-uring: [^\n]*sunos[^\n]* pwrite: [^\n]*sunos/,
      ),
      named: "IO_UNSUPPORTED",
    });
    expect(readdirSync(cwd)).toEqual([]);
  });

  test.each([["floppy"], [""], ["Auto"], [42], [null], [{}], [{ submit() {} }]])(
    "%j is none: refused, with those that there are",
    async (io) => {
      const opening = openWal({ dir: join(scratch(), "log"), io: io as unknown as IoBackend });
      await expect(opening).rejects.toMatchObject({
        code: "WAL_ARGUMENT",
        message: expect.stringContaining(backendNames().join(", ")),
      });
    },
  );
});

describe("a directory that is no path is refused with WAL_ARGUMENT, whatever is asked of it", () => {
  test.each([[undefined], [""], [7]])("%j", async (value) => {
    const dir = value as string;
    const refused = { code: "WAL_ARGUMENT" };
    await expect(openWal({ dir })).rejects.toMatchObject(refused);
    await expect(openReader({ dir })).rejects.toMatchObject(refused);
    await expect(verify({ dir })).rejects.toMatchObject(refused);
    await expect(planRepair({ dir })).rejects.toMatchObject(refused);
    await expect(repair({ dir })).rejects.toMatchObject(refused);
    await expect(salvageLog({ dir })).rejects.toMatchObject(refused);
    await expect(inspect({ dir }, async () => undefined)).rejects.toMatchObject(refused);
  });
});

test("a reader closes the back end that was made for it, and reads on beside a writer until then", async () => {
  const dir = scratch();
  const wal = await openWal({ dir, ...SMALL, idleMs: 20 });
  await wal.commit({ payload: bytes("one") });
  const reader = await openReader({ dir, pollMs: 5 });
  const seen: string[] = [];
  for await (const record of reader.follow()) {
    seen.push(text(record.payload));
    if (seen.length === 1) await wal.commit({ payload: bytes("two") });
    else break;
  }
  expect(seen).toEqual(["one", "two"]);
  await reader.close();
  expect(() => reader.replay()).toThrow(expect.objectContaining({ code: "WAL_CLOSED" }));
  await wal.close();
});

test("planRepair of a directory that holds no log answers so; repair refuses", async () => {
  const dir = scratch();
  expect(await planRepair({ dir })).toBeUndefined();
  await expect(repair({ dir })).rejects.toMatchObject({ code: "WAL_NOT_FOUND" });
  await expect(repair({ dir: join(dir, "missing") })).rejects.toMatchObject({ code: "WAL_NOT_FOUND" });
});
