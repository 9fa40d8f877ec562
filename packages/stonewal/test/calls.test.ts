import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ok, run, start } from "./support/cli.js";
import { scratch } from "./support/files.js";
import { closedLog } from "./support/logs.js";

const COMMANDS = ["append", "cat", "verify", "repair", "inspect"];

describe("a wrong call changes nothing, ends with 2, and says why in one line", () => {
  test.each([
    ["no command", []],
    ["an unknown command", ["concatenate", "D"]],
    ["help for an unknown command", ["help", "concatenate"]],
    ["an unknown option", ["verify", "D", "--fast"]],
    ["a missing directory", ["cat"]],
    ["two directories", ["cat", "D", "E"]],
    ["an LSN that is no number", ["cat", "D", "--from", "first"]],
    ["an LSN that is 0", ["cat", "D", "--to", "0"]],
    ["an LSN beyond a safe integer", ["cat", "D", "--to", "9007199254740993"]],
    ["a range that is the wrong way round", ["cat", "D", "--from", "3", "--to", "2"]],
    ["a type that is no u32", ["append", "D", "--type", "4294967296"]],
    ["a count that is negative", ["append", "D", "--sync-every", "-1"]],
    ["a mode that there is not", ["append", "D", "--dwb", "on"]],
    ["an acknowledgement that there is not", ["append", "D", "--ack", "disk"]],
    ["two modes at once", ["append", "D", "--buffered", "--direct"]],
    ["an unknown back end", ["append", "D", "--io", "floppy"]],
  ])("%s", async (_, args) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stdout.toString()).toBe("");
    expect(stderr).toMatch(/^stonewal: (CLI_USAGE|WAL_ARGUMENT): [^\n]+\n$/);
  });

  test("an unknown back end is answered with those that there are", async () => {
    const { stderr } = await run(["append", "D", "--io", "floppy"]);
    expect(stderr).toContain("auto, io-uring, pwrite");
  });

  test("with --json it is JSON, however wrong the call is", async () => {
    for (const args of [
      ["cat", "--json"],
      ["verify", "D", "--json", "--fast"],
      ["inspect", "/nowhere", "--json"],
    ]) {
      const { code, stderr } = await run(args);
      expect(code).toBe(2);
      const { error } = JSON.parse(stderr);
      expect(error.code).toMatch(/^(CLI_USAGE|WAL_NOT_FOUND)$/);
      expect(error.message).not.toBe("");
    }
  });
});

describe("a log that can't be opened ends every command with 2, not with 1, which says that records are lost", () => {
  test.each(COMMANDS.slice(1))(
    "%s of nothing, of a directory that holds no log, of a file",
    async (command) => {
      const empty = scratch();
      const file = join(scratch(), "file");
      writeFileSync(file, "no log");
      for (const path of [join(empty, "missing"), empty, file]) {
        const { code, stdout, stderr } = await run([command, path]);
        expect(code).toBe(2);
        expect(stdout.toString()).toBe("");
        expect(stderr).toMatch(/^stonewal: (WAL_NOT_FOUND|IO_NOT_FOUND): [^\n]+\n$/);
      }
    },
  );

  test("append to a path below a file", async () => {
    const file = join(scratch(), "file");
    writeFileSync(file, "no directory");
    const { code, stderr } = await run(["append", join(file, "log")], { input: "x\n" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^stonewal: IO_[A-Z_]+: [^\n]+\n$/);
  });

  test("two writers: the second is refused, and the first loses nothing", async () => {
    const dir = scratch();
    await closedLog(dir, 3);
    const first = start(["append", dir]);
    first.stdin.write("from the first\n");
    await new Promise((resolve) => first.stdout.once("data", resolve));
    for (const args of [
      ["append", dir],
      ["repair", dir],
      ["repair", dir, "--salvage", `${dir}-salvaged`],
    ]) {
      const { code, stderr } = await run(args, { input: "from the second\n" });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^stonewal: WAL_LOCKED: [^\n]+\n$/);
    }
    first.stdin.end("and again\n");
    await new Promise((resolve) => first.once("close", resolve));
    expect((await ok(["cat", dir, "--from", "4"])).toString()).toBe("from the first\nand again\n");
  });
});

describe("help", () => {
  test("names every command, and the exit codes", async () => {
    const text = (await ok(["--help"])).toString();
    for (const command of COMMANDS) expect(text).toContain(`\n  ${command} `);
    expect(text).toContain("Exit codes");
  });

  test.each([
    ["append", ["--io", "--dwb ", "--dwb-path", "--ack", "--buffered", "--direct", "--type", "--sync-every"]],
    ["cat", ["--from", "--to", "--json", "--dwb-path"]],
    ["verify", ["--json", "--dwb-path"]],
    ["repair", ["--dry-run", "--salvage", "--json", "--dwb-path"]],
    ["inspect", ["--json", "--dwb-path"]],
    ["rotate", ["--dwb-path"]],
  ])("%s tells its options", async (command, options) => {
    const text = (await ok([command, "--help"])).toString();
    for (const option of options) expect(text).toContain(option);
    expect((await ok(["help", command])).toString()).toBe(text);
  });

  test("the version is the package's", async () => {
    expect((await ok(["--version"])).toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

test("colours only where they are asked for: a pipe gets none, NO_COLOR has the last word", async () => {
  const escapeCode = String.fromCharCode(27);
  const dir = scratch();
  await closedLog(dir, 2);
  expect((await ok(["verify", dir])).toString()).not.toContain(escapeCode);
  expect((await ok(["verify", dir], { env: { FORCE_COLOR: "1" } })).toString()).toContain(escapeCode);
  const both = { FORCE_COLOR: "1", NO_COLOR: "1" };
  expect((await ok(["verify", dir], { env: both })).toString()).not.toContain(escapeCode);
});
