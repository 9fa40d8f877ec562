import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openWal, verify } from "../src/index.js";
import { backendsHere } from "./support/backends-here.mjs";
import { MAIN } from "./support/cli.js";
import { scratch } from "./support/files.js";

function blocks(page: string, language: string): string[] {
  const text = readFileSync(new URL(page, import.meta.url), "utf8");
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(
    (match) => match[1] as string,
  );
}

function block(language: string): string {
  return blocks("../README.md", language)[0] as string;
}

/** A directory in which this package is installed. */
function project(): string {
  const dir = scratch();
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(fileURLToPath(new URL("..", import.meta.url)), join(dir, "node_modules", "stonewal"));
  return dir;
}

test("the first program runs as printed, and when it is run again", async () => {
  const dir = project();
  writeFileSync(join(dir, "program.mjs"), block("js"));
  const io = (await backendsHere())[0];
  for (const [first, last] of [
    [1, 2],
    [3, 4],
  ]) {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["program.mjs"], {
      cwd: dir,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toBe(`durable up to ${last}, on ${io}\n${first} tea\n${last} milk\n`);
  }
});

test("a backup beside the writer has the same records under the same LSNs, and goes on where it has ended", async () => {
  const dir = project();
  const [, backup] = blocks("../README.md", "js");
  writeFileSync(join(dir, "backup.mjs"), backup as string);
  const program = `
import { deepEqual } from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { openReader, openWal } from "stonewal";
const recordsOf = async (dir) => {
  const records = [];
  const reader = await openReader({ dir });
  for await (const { lsn, payload, type, shard, tenant, database } of reader.replay()) {
    records.push({ lsn, payload: Buffer.from(payload).toString(), type, shard, tenant, database });
  }
  return records;
};
const wal = await openWal({ dir: "orders-log", startLsn: 40 });
const payload = () => Buffer.from("order " + wal.nextLsn);
for (const round of [1, 2, 3]) {
  for (let i = 0; i < 10; i++) await wal.commit({ payload: payload(), type: i, shard: 2, tenant: 3n, database: 4n });
  await wal.commitBatch([{ payload: payload() }, { payload: new Uint8Array(0) }]);
  if (round === 1) await wal.checkpoint(42);
  await setTimeout(500);
  await import("./backup.mjs?" + round);
  const records = await recordsOf("orders-log");
  console.log(records[0].lsn, records.at(-2).lsn, records.at(-2).payload, records[0].tenant);
  deepEqual(await recordsOf("orders-copy"), records);
}
await wal.close();
`;
  writeFileSync(join(dir, "program.mjs"), program);
  const { stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], { cwd: dir, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toBe("43 50 order 50 3n\n43 62 order 62 3n\n43 74 order 74 3n\n");
});

test("a closed log is its directory without spares and lock", async () => {
  const dir = project();
  for (const ack of ["wal", "dwb"] as const) {
    const [log, copy] = [join(dir, `${ack}-log`), join(dir, `${ack}-copy`)];
    const wal = await openWal({ dir: log, ack, segmentBytes: 1 << 20 });
    for (let i = 0; i < 30; i++) await wal.commit({ payload: new Uint8Array(100_000) });
    await wal.close();
    cpSync(log, copy, { recursive: true, filter: (path) => !/\/(spare-\d+|lock)$/.test(path) });
    expect(await verify({ dir: copy })).toMatchObject({ records: 30, closedCleanly: true, corruption: [] });
    const again = await openWal({ dir: copy, ack, segmentBytes: 1 << 20 });
    expect(await again.commit({ payload: new Uint8Array(1) })).toBe(31);
    await again.close();
  }
});

test("the commands print what the README shows", () => {
  const dir = project();
  const bin = join(dir, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "stonewal"), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, {
    mode: 0o755,
  });
  const { FORCE_COLOR: _, ...rest } = process.env;
  const env = { ...rest, PATH: `${bin}${delimiter}${process.env.PATH}` };
  for (const example of block("console").split(/^\$ /m).slice(1)) {
    const [command, ...output] = example.split("\n");
    const { stdout, stderr } = spawnSync("sh", ["-c", command as string], {
      cwd: dir,
      env,
      encoding: "utf8",
    });
    // Paths are absolute; a slow machine falls quiet in between, which leaves a frame more.
    const shown = (stdout + stderr).replaceAll(`${dir}/`, "").replace(/\d+ images/, "5 images");
    expect(shown).toBe(output.join("\n"));
  }
});

test("the guide to encryption: a tip comes back from text, and a log with another history is told by it", () => {
  const [open, keep, handBack] = blocks("../../../docs/encryption.md", "js");
  const dir = project();
  const program = `
const fetchKey = async () => new Uint8Array(32).fill(7);
${open}
await wal.commit({ payload: Buffer.from("tea") });
${keep}
await wal.close();
${handBack}
console.log(again.durableLsn);
await again.close();
const other = { ...atLeast, tag: Buffer.alloc(16) };
await openWal({ dir: "orders-log", encryption: { keys }, atLeast: other }).catch(({ code }) => console.log(code));
`;
  writeFileSync(join(dir, "program.mjs"), program);
  const { stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], { cwd: dir, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toBe("1\nWAL_ROLLED_BACK\n");
});
