import { chmodSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "./support/cli.js";
import { flip, overwrite, scratch, segments, snapshot } from "./support/files.js";
import { closedLog, crashImage, SMALL } from "./support/logs.js";

const LOOKING = [
  ["cat"],
  ["cat", "--json"],
  ["verify"],
  ["inspect"],
  ["inspect", "--json"],
  ["repair", "--dry-run"],
];

/** Logs in every state that opening for writing would do something about. */
const STATES: Record<string, (dir: string) => Promise<number>> = {
  "closed, without the lock's file": async (dir) => {
    await closedLog(dir, 10);
    unlinkSync(join(dir, "lock"));
    return 0;
  },
  "left by a crash, with an interrupted write": async (dir) => {
    await crashImage(scratch(), dir, 10);
    overwrite(segments(dir)[0] as string, 131_072 + 11 * 4096, new Uint8Array(5000).fill(7));
    return 0;
  },
  "with a frame that only the double-write buffer has": async (dir) => {
    await crashImage(scratch(), dir, 10);
    overwrite(segments(dir)[0] as string, 131_072 + 8 * 4096, new Uint8Array(4096));
    return 0;
  },
  "with one copy of a preamble and of the anchor damaged": async (dir) => {
    await closedLog(dir, 10);
    flip(segments(dir)[0] as string, 20);
    flip(join(dir, "anchor"), 65_536 + 20);
    return 1;
  },
  "damaged for good": async (dir) => {
    await closedLog(dir, 10, { ...SMALL, dwb: "off" });
    flip(segments(dir)[0] as string, 131_072 + 8 * 4096 + 200);
    return 1;
  },
};

test.each(Object.entries(STATES))("looking changes nothing on disk: a log %s", async (_, make) => {
  const dir = join(scratch(), "log");
  const expected = await make(dir);
  const before = snapshot(dir);
  for (const [command, ...options] of LOOKING) {
    const { code, stderr } = await run([command as string, dir, ...options]);
    // What `repair` and `cat` get right without a second copy is no damage to them.
    const codes = command === "verify" || command === "inspect" ? [expected] : [0, expected];
    expect(codes, stderr).toContain(code);
    expect(snapshot(dir)).toEqual(before);
  }
  await run(["repair", dir, "--salvage", `${dir}-salvaged`]);
  expect(snapshot(dir)).toEqual(before);
});

test("a log that may only be read can be looked at", async () => {
  const dir = scratch();
  await closedLog(dir, 10);
  for (const path of [...segments(dir), join(dir, "dwb"), join(dir, "anchor"), join(dir, "lock")])
    chmodSync(path, 0o444);
  chmodSync(dir, 0o555);
  for (const [command, ...options] of LOOKING) {
    expect((await run([command as string, dir, ...options])).code).toBe(0);
  }
  chmodSync(dir, 0o755);
});
