import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { readCommandLine } from "../src/command-line.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test("without arguments the results go where git ignores them, and the logs on the repository's disk", () => {
  const { quick, out, parent, experiments, writeDocs } = readCommandLine([]);
  expect(quick).toBe(false);
  expect(experiments).toHaveLength(10);
  expect(writeDocs).toBeUndefined();
  expect(out).toBe(path.resolve(import.meta.dirname, "../results/latest.json"));
  expect(path.resolve(parent)).toBe(path.resolve(import.meta.dirname, ".."));
});

test("relative paths are meant from where npm was called", () => {
  vi.stubEnv("INIT_CWD", "/somewhere");
  const { quick, out, parent } = readCommandLine(["--quick", "--out", "a/b.json", "--in", "disk"]);
  expect({ quick, out, parent }).toEqual({
    quick: true,
    out: "/somewhere/a/b.json",
    parent: "/somewhere/disk",
  });
});

test("only what is asked for is run, in the usual order", () => {
  const { experiments } = readCommandLine(["--only", "opening, modes"]);
  expect(experiments.map(({ name }) => name)).toEqual(["modes", "opening"]);
});

test.each([["--fast"], ["--only", "nothing"], ["--rounds", "many"]])(
  "%s %s ends with 2 instead of measuring something else",
  (...argv) => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    vi.spyOn(process, "exit").mockImplementation((code) => {
      throw new Error(`exit ${code}`);
    });
    expect(() => readCommandLine(argv)).toThrow("exit 2");
  },
);
