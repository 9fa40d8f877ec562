import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspect, verify } from "../src/index.js";
import { lastDurable, ok, outcome, start } from "./support/cli.js";
import { bytesAt, overwrite, scratch, segments } from "./support/files.js";
import { crashImage, line, printed } from "./support/logs.js";

const RECORDS = 20;
const BLOCK = 4096;

interface Image {
  readonly dir: string;
  readonly segment: string;
  /** Where the next frame would go. */
  readonly end: number;
  /** What the writer put there next. */
  readonly next: Buffer;
}

/** A log whose writer has lost its power, with `RECORDS` acknowledged records, the last of them without a witness. */
async function image(dwb: "off" | "direct", payloads?: readonly Uint8Array[]): Promise<Image> {
  const root = scratch();
  const dir = join(root, "image");
  const later = await crashImage(join(root, "live"), dir, RECORDS, { dwb }, payloads);
  const report = await inspect({ dir }, async (there) => there);
  const end = report.segmentList.at(-1)?.end as number;
  return { dir, segment: segments(dir).at(-1) as string, end, next: later.subarray(end, end + 40 * BLOCK) };
}

function random(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)));
}

type Tear = (image: Image) => void;

const TEARS: readonly (readonly [string, Tear])[] = [
  ["a block of garbage", ({ segment, end }) => overwrite(segment, end, random(BLOCK))],
  [
    "half a block of garbage behind zeros",
    ({ segment, end }) => overwrite(segment, end + 2048, random(2048)),
  ],
  ["garbage over many blocks", ({ segment, end }) => overwrite(segment, end, random(7 * BLOCK))],
  [
    "zeros where the first block should be, and what follows it",
    ({ segment, end, next }) => overwrite(segment, end + BLOCK, next.subarray(BLOCK, 4 * BLOCK)),
  ],
  [
    "the first block of a frame without the rest",
    ({ segment, end, next }) => overwrite(segment, end, next.subarray(0, BLOCK)),
  ],
  [
    "a frame with one sector missing",
    ({ segment, end, next }) => {
      next.fill(0, BLOCK + 512, BLOCK + 1024);
      overwrite(segment, end, next.subarray(0, 4 * BLOCK));
    },
  ],
  [
    "an older frame's bytes",
    ({ segment, end }) => overwrite(segment, end, bytesAt(segment, end - 3 * BLOCK, 2 * BLOCK)),
  ],
  [
    "an older frame's bytes behind a hole",
    ({ segment, end }) => overwrite(segment, end + BLOCK, bytesAt(segment, end - BLOCK, BLOCK)),
  ],
  ["a stray block far behind", ({ segment, end }) => overwrite(segment, end + 9 * BLOCK, random(BLOCK))],
  ["one stray byte", ({ segment, end }) => overwrite(segment, end + 5 * BLOCK + 17, new Uint8Array([1]))],
];

describe.each(["off", "direct"] as const)(
  "an interrupted write behind what was acknowledged, dwb %s",
  (dwb) => {
    test.each(TEARS)(
      "%s: everything acknowledged is there, and what is appended next survives another kill",
      async (_, tear) => {
        const torn = await image(dwb);
        const { dir } = torn;
        tear(torn);
        expect((await ok(["cat", dir])).toString()).toBe(printed(RECORDS));
        expect(await verify({ dir })).toMatchObject({
          records: RECORDS,
          tornTail: true,
          corruption: [],
        });

        const child = start(["append", dir]);
        const ended = outcome(child);
        const moved = new Promise((resolve) => child.stdout.once("data", resolve));
        child.stdin.write(`${line(RECORDS + 1)}\n${line(RECORDS + 2)}\n`);
        await moved;
        child.kill("SIGKILL");
        const durable = lastDurable((await ended).stdout);
        expect(durable).toBeGreaterThan(RECORDS);
        const after = (await ok(["cat", dir])).toString();
        expect(after.startsWith(printed(durable))).toBe(true);
        expect(printed(RECORDS + 2).startsWith(after)).toBe(true);
        expect((await verify({ dir })).corruption).toEqual([]);
      },
    );
  },
);

test("repair clears it, --dry-run only says so, and a second repair finds nothing", async () => {
  const torn = await image("off");
  overwrite(torn.segment, torn.end, random(BLOCK));
  const dry = (await ok(["repair", torn.dir, "--dry-run"])).toString();
  expect(dry).toContain("would clear an interrupted write");
  expect((await ok(["repair", torn.dir])).toString()).toBe(dry.replace("would clear", "cleared"));
  expect((await ok(["repair", torn.dir])).toString()).toContain("nothing to repair");
  expect(JSON.parse((await ok(["verify", torn.dir, "--json"])).toString()).tornTail).toBe(false);
  expect((await ok(["cat", torn.dir])).toString()).toBe(printed(RECORDS));
});

test("intact frames behind a hole are saved aside before they are cleared, and named", async () => {
  // In one chain: none of these frames says of another that it was durable.
  const torn = await image("off", [random(60_000), random(40_000), random(50_000)]);
  const frame = (payloadBytes: number) => Math.ceil((payloadBytes + 192 + 32) / BLOCK) * BLOCK;
  const written = torn.next.subarray(0, frame(60_000) + frame(40_000) + frame(50_000));
  written.fill(0, 0, BLOCK);
  overwrite(torn.segment, torn.end, written);

  const dry = JSON.parse((await ok(["repair", torn.dir, "--dry-run", "--json"])).toString());
  const done = JSON.parse((await ok(["repair", torn.dir, "--json"])).toString());
  for (const report of [dry, done]) {
    expect(report.records).toBe(RECORDS);
    expect(report.aside).toMatchObject([
      { firstLsn: RECORDS + 2, lastLsn: RECORDS + 2 },
      { firstLsn: RECORDS + 3, lastLsn: RECORDS + 3 },
    ]);
  }
  const second = done.aside[1].savedAs;
  expect(readFileSync(second).equals(written.subarray(-frame(50_000)))).toBe(true);
  expect((await ok(["cat", torn.dir])).toString()).toBe(printed(RECORDS));
});
