import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ok, outcome, run, start } from "./support/cli.js";
import { scratch, snapshot } from "./support/files.js";

/** A log of three lines whose commits the double-write buffer at `path` acknowledged, and whose writer was killed. */
async function killedLog(dir: string, path: string, options: readonly string[]): Promise<void> {
  const child = start(["append", dir, "--ack", "dwb", "--dwb-path", path, ...options]);
  const ended = outcome(child);
  child.stdin.write("tea\nmilk\nbread\n");
  let printed = "";
  while (!printed.includes("durable 3\n") && child.exitCode === null)
    printed += String(await Promise.race([once(child.stdout, "data"), ended.then(({ stderr }) => stderr)]));
  child.kill("SIGKILL");
  expect(await ended).toMatchObject({ signal: "SIGKILL" });
}

test("a double-write buffer that lies elsewhere is looked for there by every command: what it acknowledged is there", async () => {
  const dir = join(scratch(), "log");
  const keys = scratch();
  const [first, second] = [join(keys, "1.key"), join(keys, "2.key")];
  for (const key of [first, second]) await ok(["keygen", key]);
  const there = ["--dwb-path", join(keys, "dwb")];
  const key = ["--key-file", first];
  await killedLog(dir, join(keys, "dwb"), key);

  const before = snapshot(dir);
  const verify = JSON.parse((await ok(["verify", dir, ...key, ...there, "--json"])).toString());
  expect(verify).toMatchObject({
    records: 3,
    corruption: [],
    dwb: { present: true, path: join(keys, "dwb") },
  });
  expect((await ok(["cat", dir, ...key, ...there])).toString()).toBe("tea\nmilk\nbread\n");
  expect((await ok(["inspect", dir, ...key, ...there])).toString()).toContain(`${join(keys, "dwb")}`);
  await ok(["repair", dir, ...key, ...there, "--dry-run"]);
  expect(snapshot(dir)).toEqual(before);
  const saved = join(scratch(), "saved");
  expect((await ok(["repair", dir, ...key, ...there, "--salvage", saved])).toString()).toContain(
    "copied 3 records",
  );

  await ok(["repair", dir, ...key, ...there]);
  await ok(["rotate", dir, "--key-file", `2=${second}`, ...key, ...there]);
  const append = await ok(["append", dir, "--key-file", `2=${second}`, ...key, ...there], { input: "jam\n" });
  expect(append.toString()).toBe("durable 4\n");
  expect(existsSync(join(dir, "dwb"))).toBe(false);
});

test("without the path, that the buffer may lie elsewhere is said, and before salvage is spoken of", async () => {
  const dir = join(scratch(), "log");
  await killedLog(dir, join(scratch(), "dwb"), []);
  const verify = await run(["verify", dir]);
  expect(verify.code).toBe(1);
  expect(verify.stdout.toString()).toMatch(/WAL_DWB_MISSING: [^\n]+may lie elsewhere[^\n]+--dwb-path/);
  for (const command of ["cat", "append"]) {
    const { code, stderr } = await run([command, dir]);
    expect([command, code]).toEqual([command, 1]);
    expect(stderr).toMatch(/^stonewal: WAL_DWB_MISSING: [^\n]+may lie elsewhere[^\n]+--dwb-path[^\n]+\n$/);
  }
  const repair = await run(["repair", dir]);
  expect(repair.code).toBe(1);
  expect(repair.stderr).toMatch(/^stonewal: WAL_DWB_MISSING: [^\n]+--dwb-path[^\n]+--salvage[^\n]+\n$/);
  const salvage = await run(["repair", dir, "--salvage", join(scratch(), "saved"), "--dry-run"]);
  expect(salvage.stdout.toString()).toMatch(/WAL_DWB_MISSING: [^\n]+--dwb-path/);
});
