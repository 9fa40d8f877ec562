// The main job from end to end, on a small file.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { withoutCall } from "../../packages/io-uring/test/support/without-call.mjs";
import { backendsHere } from "../../packages/stonewal/test/support/backends-here.mjs";
import type { CommandLine } from "../src/command-line.js";
import { demonstrate } from "../src/demonstration.js";
import { numberedLines, scratchDir, writeFile } from "./support/scratch.js";

const dist = path.resolve(import.meta.dirname, "../dist");
const programs = path.resolve(import.meta.dirname, "programs");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const backends = await backendsHere();

function start(args: readonly string[], launcher: readonly string[] = []): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const [program = "", ...rest] = [...launcher, process.execPath, path.join(dist, "main.js"), ...args];
    execFile(program, rest, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr });
    });
  });
}

describe("npm start", () => {
  it.each(["--direct", "--buffered", "--dwb=off"])(
    "gets a file into the log through six kills and removes what it wrote (%s)",
    async (mode) => {
      const scratch = scratchDir();
      const parent = scratchDir();
      const file = writeFile(scratch, numberedLines(5000));
      const args = [file, "--in", parent, "--kills", "6", "--seed", "3", "--segment-bytes", "262144", mode];
      const { code, stdout, stderr } = await start(args);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/5,000 records/);
      // The last may come too late for a child that is quick.
      expect(stdout.match(/^kill {2}\d .* ok$/gm)?.length).toBeGreaterThanOrEqual(5 * backends.length);
      expect(stdout).toMatch(new RegExp(`back end${backends.map((name) => ` +│ +${name}`).join("")} │`));
      expect(stdout).toMatch(new RegExp(`recovered${" +│ +5,000".repeat(backends.length)} │`));
      expect(stdout).toMatch(/The file is in the log, byte for byte/);
      expect(code).toBe(0);
      expect(readdirSync(parent)).toEqual([]);
    },
    60_000,
  );

  it("kills the writer of a small file more than once too", async () => {
    const { code, stdout } = await start([
      writeFile(scratchDir(), numberedLines(200)),
      "--seed",
      "7",
      "--io",
      "auto",
    ]);
    expect(stdout.match(/^kill .* ok$/gm)?.length).toBeGreaterThanOrEqual(2);
    expect(code).toBe(0);
  });

  it("shows those that were asked for side by side", async () => {
    const file = writeFile(scratchDir(), numberedLines(50));
    const { code, stdout } = await start([file, "--kills", "1", "--io", "pwrite,auto"]);
    expect(stdout).toMatch(new RegExp(`back end +│ +pwrite +│ +${backends[0]} │`));
    expect(code).toBe(0);
  });

  it.runIf(process.platform === "linux")(
    "where io_uring is refused, as in a container, goes on without it and says why",
    async () => {
      const file = writeFile(scratchDir(), numberedLines(50));
      const { code, stdout, stderr } = await start(
        [file, "--kills", "1"],
        withoutCall("io_uring_setup", "EPERM"),
      );
      expect(stderr).toBe("");
      expect(stdout).toMatch(/^without io-uring: .*seccomp/m);
      expect(stdout).toMatch(/back end +│ +pwrite │/);
      expect(code).toBe(0);
    },
  );

  it.each([
    [["/nowhere/at-all"], /ENOENT/],
    [["/"], /not a file/],
    [["--kills", "some"], /must be an integer/],
    [["--io", "tape"], /There are auto/],
  ])("ends with 2 for a call that is wrong: %j", async (args, message) => {
    const { code, stdout, stderr } = await start(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
  });

  it("ends with 2 for an empty file", async () => {
    expect(await start([writeFile(scratchDir(), "")])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/empty/),
    });
  });
});

describe("a log that broke its promise", () => {
  const demonstrateWith = async (program: string) => {
    const parent = scratchDir();
    const commandLine: CommandLine = {
      file: writeFile(scratchDir(), numberedLines(2000)),
      io: ["auto"],
      kills: 3,
      seed: 1,
      committers: 8,
      dwb: undefined,
      direct: undefined,
      segmentBytes: 1 << 20,
      parent,
      keep: false,
    };
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const signal = new AbortController().signal;
    const code = await demonstrate({ commandLine, signal, program: path.join(programs, program) });
    const said = [...log.mock.calls, ...error.mock.calls].flat().join("\n");
    vi.restoreAllMocks();
    return { code, said, parent };
  };

  it("ends with 1, says how many acknowledged records are missing, and keeps the log", async () => {
    const { code, said, parent } = await demonstrateWith("liar.mjs");
    expect(said).toMatch(/\d+ acknowledged records are missing/);
    expect(said).toMatch(/acknowledged and there after each kill +│ +NO/);
    expect(code).toBe(1);
    const [kept] = readdirSync(parent);
    expect(said).toContain(`kept: ${path.join(parent, kept as string)}`);
    expect(readFileSync(path.join(parent, kept as string, "0-auto", "anchor")).length).toBeGreaterThan(0);
  });

  it("is not taken for fine when the appending process gives up", async () => {
    const { code, said } = await demonstrateWith("quitter.mjs");
    expect(said).toMatch(/the appending process ended with exit 3/);
    expect(code).toBe(1);
  });
});
