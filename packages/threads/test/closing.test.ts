import { once } from "node:events";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { pwrite } from "@stonewal/io-pwrite";
import { attachLog, SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";
import { expect, test } from "vitest";
import { scratch } from "./support/committers.js";

function realLog() {
  return openLog({
    io: pwrite(),
    ownsIo: true,
    directory: scratch(),
    segmentBytes: 1024 * 1024,
    frameBytes: 65_536,
    bufferBytes: 262_144,
  });
}

test("a worker that never stops committing doesn't hold up the end: what was put in before is durable, the rest is refused", async () => {
  const wal = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const told: number[] = [];
  const codes = new Set<string>();
  let stopped = false;
  const committing = (async () => {
    while (!stopped) {
      log.commit({ payload: new Uint8Array(20) }).then(
        (lsn) => told.push(lsn),
        ({ code }) => {
          codes.add(code);
          stopped = true;
        },
      );
      await turn();
    }
  })();
  while (told.length < 100) await turn();
  // As many as there are before a flush can end.
  const before = log.pending;
  await shared.close();
  const last = wal.nextLsn - 1;
  expect(wal.durableLsn).toBe(last);
  await committing;
  await log.close();
  expect([...codes]).toEqual(["WAL_CLOSED"]);
  expect(told).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  expect(before).toBeGreaterThan(0);
  // Nor does anything come later that was refused.
  await turn();
  expect(wal.nextLsn - 1).toBe(last);
  expect(shared.links).toBe(0);
  await wal.close();
});

test("closing waits for what a worker had handed over that has ended by then", async () => {
  const wal = await realLog();
  const shared = new SharedLog(wal);
  const { port, ...rest } = shared.link();
  const log = attachLog({ port, ...rest });
  // Far more than the log's own memory holds.
  const commits = Array.from({ length: 300 }, () => log.commit({ payload: new Uint8Array(20_000) }));
  const settled = Promise.allSettled(commits);
  port.close();
  await once(port, "close");
  // The owner has seen it by then, and is far from done.
  await sleep(1);
  await shared.close();
  expect(wal.durableLsn).toBe(300);
  expect(shared.links).toBe(0);
  await wal.close();
  await settled;
});

test("what is refused at the end says whether it may be durable", async () => {
  const wal = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link({ pendingLimit: 1 }));
  const payload = new Uint8Array(1);
  expect(await log.commit({ payload })).toBe(1);
  const closed = shared.close();
  // Behind what was there when closing began.
  const refused = [log.commit({ payload }), log.commit({ payload })].map((commit) =>
    commit.catch(({ code, message }) => `${code}: ${message}`),
  );
  await closed;
  const gone = "WAL_CLOSED: the log was closed, or its thread has ended;";
  expect(await Promise.all(refused)).toEqual([
    `${gone} whether this record is durable is not known`,
    `${gone} this record is not in it`,
  ]);
  await expect(log.commit({ payload })).rejects.toThrow("this record is not in it");
  await log.close();
  await expect(log.commit({ payload })).rejects.toThrow("this thread's end of the log is closed");
  expect(wal.durableLsn).toBe(1);
  await wal.close();
});
