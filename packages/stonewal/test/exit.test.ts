import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { controlEnvironment, createFaultControl } from "../../io-pwrite/test/support/fault-shim.mjs";
import type { OpenWalOptions } from "../src/index.js";
import { backendsHere } from "./support/backends-here.mjs";
import { type Outcome, ok, outcome } from "./support/cli.js";
import { scratch } from "./support/files.js";
import { SMALL } from "./support/logs.js";

const ENTRY = new URL("../dist/index.js", import.meta.url).href;
const SHIM = new URL("../../io-pwrite/test/support/fault-shim.mjs", import.meta.url).href;

/** A program with `wal` open, `dir`, and `line(n)`: the payload of record n. */
function program(dir: string, options: Partial<OpenWalOptions>, body: string): string {
  return `
    const { writeSync } = await import("node:fs");
    const { openWal } = await import(${JSON.stringify(ENTRY)});
    const dir = ${JSON.stringify(dir)};
    const wal = await openWal({ dir, segmentBytes: 4194304, ...${JSON.stringify(options)} });
    const line = (n) => ({ payload: Buffer.from(\`\${n} \${"x".repeat((n * 7919) % 2111)}\`) });
    const say = (text) => writeSync(1, text + "\\n");
    ${body}
  `;
}

function start(source: string, env: NodeJS.ProcessEnv = process.env) {
  return spawn(process.execPath, ["--input-type=module", "--eval", source], { env });
}

/** Chains in flight, others that wait for them, records that nobody has asked to be made durable; and a handler for all of them. */
const WORK = `
  for (let n = 1; n <= 40; n++) wal.commit(line(n)).catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  for (let n = 41; n <= 60; n++) wal.commit(line(n)).catch(() => undefined);
  for (let n = 61; n <= 100; n++) wal.append(line(n));
  process.on("exit", () => {
    try {
      wal.syncNow();
      const lsn = wal.commitNow(line(101));
      say("durable " + lsn);
    } catch (error) {
      say("failed " + error.code + " " + wal.durableLsn);
    }
  });
`;

/** The numbers of the records that are there; each must be as it was appended. */
async function numbers(dir: string): Promise<number[]> {
  const lines = (await ok(["cat", dir])).toString().split("\n").slice(0, -1);
  return lines.map((text) => {
    const n = Number.parseInt(text, 10);
    expect(text).toBe(`${n} ${"x".repeat((n * 7919) % 2111)}`);
    return n;
  });
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

const MODES: readonly [string, Partial<OpenWalOptions>][] = [
  ["DWB", {}],
  ["no DWB", { dwb: "off" }],
  ["acknowledged by the DWB", { ack: "dwb", dwb: { slots: 8 } }],
];

const ENDS: readonly [string, string, Pick<Outcome, "code">][] = [
  ["process.exit()", "process.exit(3);", { code: 3 }],
  ["an exception that nobody catches", "throw new Error('thrown');", { code: 1 }],
  [
    "process.exit() in a worker",
    // What the exit handler does there is the same; the process ends when its worker has.
    "process.exit(0);",
    { code: 0 },
  ],
];

describe.each(await backendsHere())("%s", (io) => {
  for (const [mode, options] of MODES) {
    for (const [end, last, expected] of ENDS) {
      test(`${mode}: an exit handler makes everything appended durable, chains in flight included: ${end}`, async () => {
        const dir = scratch();
        const inner = program(dir, { ...options, io: io as "pwrite" }, WORK + last);
        const source = end.endsWith("worker")
          ? `const { Worker } = await import("node:worker_threads");
            const source = ${JSON.stringify(inner)};
            new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), { execArgv: [] });`
          : inner;
        const { code, stdout } = await outcome(start(source));
        expect(stdout.toString()).toBe("durable 101\n");
        expect(code).toBe(expected.code);
        expect(await numbers(dir)).toEqual(upTo(101));
      });
    }
  }

  test("killed at any moment: every LSN that commitNow returned is there", async () => {
    const dir = scratch();
    for (let round = 0; round < 3; round += 1) {
      const before = round === 0 ? 0 : (await numbers(dir)).length;
      const child = start(
        program(
          dir,
          { ...SMALL, io: io as "pwrite" },
          `for (let n = ${before + 1}; ; n++) {
            let lsn;
            try {
              lsn = wal.commitNow(line(n));
            } catch (error) {
              if (error.code !== "WAL_NOT_NOW") throw error;
              lsn = await wal.commit(line(n));
            }
            say("committed " + lsn);
          }`,
        ),
      );
      const ended = outcome(child);
      let said = 0;
      child.stdout.on("data", () => {
        said += 1;
        if (said === 20 + 15 * round) child.kill("SIGKILL");
      });
      const { signal, stdout, stderr } = await ended;
      expect(signal, stderr).toBe("SIGKILL");
      const told = [...stdout.toString().matchAll(/^committed (\d+)\n/gm)].map((match) => Number(match[1]));
      const there = await numbers(dir);
      expect(there).toEqual(upTo(there.length));
      expect(there.length).toBeGreaterThanOrEqual(told.at(-1) ?? 0);
      expect(told.length).toBeGreaterThan(10);
    }
  });
});

describe.skipIf(process.platform !== "linux")("a disk that fails while an exit handler waits", () => {
  test.each([
    ["in the chain in flight", "sync:.wal:1+:EIO"],
    ["in the handler's own", "write:.wal:2+:EIO"],
    ["in the double-write buffer", "sync:dwb:1+:EIO"],
  ])("%s: it throws WAL_POISONED, and what was durable before is there", async (_, rules) => {
    const dir = scratch();
    const control = `${dir}/control`;
    createFaultControl(control);
    const body = `
      await wal.commit(line(1));
      const { armFaults } = await import(${JSON.stringify(SHIM)});
      armFaults(${JSON.stringify(control)}, ${JSON.stringify(rules)});
      ${WORK.replace("let n = 1;", "let n = 2;")}
      process.exit(4);`;
    const source = program(`${dir}/log`, { io: "pwrite" }, body);
    const { code, stdout, stderr } = await outcome(start(source, controlEnvironment(control)));
    expect(code, stderr).toBe(4);
    const [, durable] = /^failed WAL_POISONED (\d+)\n$/.exec(stdout.toString()) ?? [];
    const there = await numbers(`${dir}/log`);
    expect(there).toEqual(upTo(there.length));
    expect(there.length).toBeGreaterThanOrEqual(Number(durable));
    expect(Number(durable)).toBeLessThan(101);
  });
});
