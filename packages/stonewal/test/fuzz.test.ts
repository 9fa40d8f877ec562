import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { fuzzing, mutated, mutation } from "../../../fuzzing.mjs";
import { run } from "./support/cli.js";
import { scratch, segments } from "./support/files.js";
import { closedLog, SMALL } from "./support/logs.js";

/** What the command line makes of a directory that is damaged, forged, or no log at all. */

const TINY = { ...SMALL, segmentBytes: 262_144, bufferBytes: 262_144 };
let original: string;

beforeAll(async () => {
  original = scratch();
  await closedLog(original, 30, { ...TINY, dwb: { slots: 4, slotBytes: 8192 } });
});

function copyOf(directory: string): string {
  const copy = scratch();
  for (const name of readdirSync(directory)) copyFileSync(join(directory, name), join(copy, name));
  return copy;
}

/** A foreign or broken thing where a file of the log is, or might be. */
const INTRUDERS: Record<string, (path: string) => void> = {
  nothing: () => undefined,
  "an empty file": (path) => writeFileSync(path, ""),
  "a directory": (path) => mkdirSync(path),
  "a link to nothing": (path) => symlinkSync("nowhere", path),
  "a link to itself": (path) => symlinkSync(path, path),
  "a link to a device": (path) => symlinkSync("/dev/zero", path),
  "a link to the directory": (path) => symlinkSync(".", path),
  "a pipe": (path) => execFileSync("mkfifo", [path]),
};

async function judge(args: readonly string[]): Promise<number | null> {
  const { code, signal, stderr, stdout } = await run(args, { input: "a line\n" });
  const where = `${args.join(" ")}: ${stderr}${stdout.toString().slice(0, 500)}`;
  expect(signal, where).toBeNull();
  expect([0, 1, 2], where).toContain(code);
  // One line of a typed failure, whatever was in the files; never a stack, never a bug by its own word.
  expect(stderr, where).toMatch(/^(stonewal: (WAL|IO|DWB|RECORD)_[A-Z_]+: [^\n]+\n)?$/);
  if (code !== 0 && stderr === "") expect(["verify", "inspect"], where).toContain(args[0]);
  return code;
}

const commands = [
  ["verify"],
  ["verify", "--json"],
  ["cat"],
  ["inspect"],
  ["repair", "--dry-run"],
  ["repair"],
  ["append"],
];

test("whatever its files hold: one line of a typed error or an answer, and an exit code that says which", async () => {
  const codes = new Set<number | null>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ file: fc.nat(20), mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }) }),
        {
          maxLength: 2,
        },
      ),
      fc.constantFrom(...commands),
      fc.constantFrom(...commands),
      async (changes, first, second) => {
        const directory = copyOf(original);
        const names = readdirSync(directory);
        for (const { file, mutations } of changes) {
          const path = join(directory, names[file % names.length] as string);
          let bytes: Uint8Array = readFileSync(path);
          for (const one of mutations) bytes = mutated(bytes, one, [0, 65_536, 131_072, 135_168, 139_264]);
          writeFileSync(path, bytes);
        }
        for (const [name, ...options] of [first, second])
          codes.add(await judge([name as string, directory, ...options]));
        rmSync(directory, { recursive: true });
      },
    ),
    fuzzing(6),
  );
  expect(codes.size).toBeGreaterThan(0);
}, 3_600_000);

test.each(Object.keys(INTRUDERS))(
  "with %s in the place of a file no command waits for ever, or says that all is well",
  async (intruder) => {
    const check = async (name: string) => {
      const directory = copyOf(original);
      const path = name === "segment" ? (segments(directory)[0] as string) : join(directory, name);
      rmSync(path, { force: true });
      INTRUDERS[intruder]?.(path);
      const code = await judge([name === "lock" ? "append" : "verify", directory]);
      if (name === "segment") expect(code).not.toBe(0);
      if (name === "lock") await judge(["verify", directory]);
      rmSync(directory, { recursive: true });
    };
    await Promise.all(["anchor", "dwb", "segment", "lock"].map(check));
  },
  120_000,
);
