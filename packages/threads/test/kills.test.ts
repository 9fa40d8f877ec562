import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { pwrite } from "@stonewal/io-pwrite";
import { openReader } from "@stonewal/recovery";
import { attachLog, type LogLink, SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";
import { expect, test } from "vitest";
import { entryBytes } from "../src/layout.js";
import { RequestWriter } from "../src/request-writer.js";
import { Committer, read, scratch } from "./support/committers.js";

const OWNER = fileURLToPath(new URL("./support/owner.mjs", import.meta.url));

function openSmall(directory: string) {
  return openLog({
    io: pwrite(),
    ownsIo: true,
    directory,
    segmentBytes: 1024 * 1024,
    frameBytes: 65_536,
    bufferBytes: 262_144,
  });
}

test("workers terminated at any moment: what they were told is durable is there, and the log goes on with the others", async () => {
  const wal = await openSmall(scratch());
  const shared = new SharedLog(wal);
  const survivor = new Committer(99, shared.link(), { count: 3000, inFlight: 4, pad: 50 });
  const victims: Committer[] = [];
  for (let round = 0; round < 8; round += 1) {
    const link = shared.link({ ringBytes: 65_536 });
    const victim = new Committer(round, link, { count: 200_000, inFlight: 200, pad: 400 });
    victims.push(victim);
    // Every other one perhaps before it has begun.
    if (round % 2 === 0) await victim.begun();
    await sleep(Math.random() * 100);
    await victim.worker.terminate();
  }
  expect(await survivor.outcome).toEqual({ done: true });
  await shared.close();
  const records = await read(wal);
  let told = 0;
  for (const committer of [...victims, survivor]) {
    for (const [number, lsn] of committer.acknowledged()) {
      expect(records.get(lsn)).toEqual({ worker: committer.number, number });
      told += 1;
    }
  }
  expect(told).toBeGreaterThan(3000);
  // Nothing twice, and of each worker a prefix of what it committed.
  const counts = new Map<number, number>();
  for (const [, { worker, number }] of [...records].sort(([a], [b]) => a - b)) {
    expect(number).toBe(counts.get(worker) ?? 0);
    counts.set(worker, number + 1);
  }
  expect(shared.links).toBe(0);
  await wal.close();
});

test("a worker that dies in the middle of a record has written nothing, of an atomic batch neither", async () => {
  const wal = await openSmall(scratch());
  const shared = new SharedLog(wal);
  const link = shared.link();
  const writer = new RequestWriter(link);
  const whole = { payload: new Uint8Array(100).fill(1) };
  writer.put([whole]);
  // What a thread leaves that ends before its last store: bytes of the next request, and no word of them.
  tearRequest(link, entryBytes(100));
  link.port.close();
  await shared.close();
  expect((await read(wal)).size).toBe(1);
  await wal.close();
});

/** Two records of a batch in the ring, TAIL where it was. */
function tearRequest(link: LogLink, at: number): void {
  const copy = { ...link, memory: new SharedArrayBuffer(link.memory.byteLength) };
  const writer = new RequestWriter(copy);
  writer.put([{ payload: new Uint8Array(100) }]);
  writer.put([{ payload: new Uint8Array(50).fill(2) }, { payload: new Uint8Array(50).fill(3) }]);
  const start = link.memory.byteLength - link.ringBytes + at;
  const torn = new Uint8Array(copy.memory, start, entryBytes(50) + 40);
  new Uint8Array(link.memory).set(torn, start);
}

test("the process killed with three workers committing: every line they printed is in the log, six times over", async () => {
  const directory = scratch();
  const printed = new Map<number, string>();
  for (let round = 0; round < 6; round += 1) {
    const child = spawn(process.execPath, [OWNER, directory], { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(child.stdout, "data");
    await sleep(Math.random() * 200);
    child.kill("SIGKILL");
    await once(child, "close");
    for (const line of Buffer.concat(chunks).toString().split("\n").slice(0, -1)) {
      const [lsn, ...name] = line.split(" ");
      expect(printed.has(Number(lsn))).toBe(false);
      printed.set(Number(lsn), name.join(" "));
    }
  }
  expect(printed.size).toBeGreaterThan(6);
  const io = pwrite();
  const reader = await openReader({ io, directory });
  const names = new Map<number, string>();
  for await (const { lsn, payload } of reader.replay())
    names.set(lsn, new TextDecoder().decode(payload).trimEnd());
  for (const [lsn, name] of printed) expect(names.get(lsn)).toBe(name);
  expect(new Set(names.values()).size).toBe(names.size);
  await reader.close();
  await io.close();
});

test("the thread that owns the log ends: commits on their way are rejected, and hang nobody", async () => {
  const owner = new Worker(new URL("./support/lender.mjs", import.meta.url), { workerData: scratch() });
  const [link] = (await once(owner, "message")) as [LogLink];
  const log = attachLog(link);
  expect(await log.commit({ payload: new Uint8Array(10) })).toBe(1);
  const pending = Promise.allSettled(
    Array.from({ length: 2000 }, () => log.commit({ payload: new Uint8Array(1000) })),
  );
  await owner.terminate();
  const codes = new Set((await pending).map((result) => result.status === "rejected" && result.reason.code));
  codes.delete(false);
  expect([...codes]).toEqual(["WAL_CLOSED"]);
  await expect(log.commit({ payload: new Uint8Array(1) })).rejects.toMatchObject({ code: "WAL_CLOSED" });
});

test("the thread that owns the log has ended before anybody attaches: commits are rejected, and hang nobody", async () => {
  const owner = new Worker(new URL("./support/lender.mjs", import.meta.url), { workerData: scratch() });
  const [link] = (await once(owner, "message")) as [LogLink];
  await owner.terminate();
  await sleep(20);
  const log = attachLog(link);
  await expect(log.commit({ payload: new Uint8Array(1) })).rejects.toMatchObject({ code: "WAL_CLOSED" });
});
