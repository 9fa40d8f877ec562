import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { KeyRing, openReader, openWal, readKeyFile, salvageLog, verify, writeKeyFile } from "../src/index.js";
import { ok, run } from "./support/cli.js";
import { scratch, segments, snapshot } from "./support/files.js";
import { bytes, closedLog, line, printed, SMALL } from "./support/logs.js";

async function keyIn(directory: string, name = "key"): Promise<string> {
  const path = join(directory, name);
  await writeKeyFile(path);
  return path;
}

async function ringOf(...paths: string[]): Promise<KeyRing> {
  const keys = await Promise.all(paths.map(async (path, i) => [i + 1, await readKeyFile(path)] as const));
  return new KeyRing({ current: paths.length, keys: new Map(keys) });
}

describe("a key file", () => {
  test("that was made is 32 random bytes that only its owner can read, and is never written over", async () => {
    const directory = scratch();
    const [one, two] = [await keyIn(directory, "one"), await keyIn(directory, "two")];
    expect(statSync(one).mode & 0o777).toBe(0o600);
    expect(await readKeyFile(one)).toEqual(Uint8Array.from(readFileSync(one)));
    expect(readFileSync(one)).toHaveLength(32);
    expect(readFileSync(one)).not.toEqual(readFileSync(two));
    const before = readFileSync(one);
    await expect(writeKeyFile(one)).rejects.toMatchObject({ code: "KEY_FILE_EXISTS" });
    expect(readFileSync(one)).toEqual(before);
  });

  test.each<[string, (path: string) => void]>([
    ["31 bytes", (path) => writeFileSync(path, new Uint8Array(31).fill(1), { mode: 0o600 })],
    [
      "33 bytes: a newline too many",
      (path) => writeFileSync(path, new Uint8Array(33).fill(1), { mode: 0o600 }),
    ],
    ["none", (path) => writeFileSync(path, "", { mode: 0o600 })],
    ["a directory", (path) => mkdirSync(path, { mode: 0o700 })],
    ["a pipe, which would be waited for", (path) => execFileSync("mkfifo", ["-m", "600", path])],
    ["one that its group can read", (path) => writeMode(path, 0o640)],
    ["one that everybody can write", (path) => writeMode(path, 0o602)],
    [
      "a symbolic link to one",
      (path) => {
        writeMode(`${path}-2`, 0o600);
        symlinkSync(`${path}-2`, path);
      },
    ],
  ])("is refused: %s", async (_name, make) => {
    const path = join(scratch(), "key");
    make(path);
    await expect(readKeyFile(path)).rejects.toMatchObject({ code: "KEY_FILE_REFUSED" });
  });

  test("is refused where it is another user's, whatever its mode says", async () => {
    const path = await keyIn(scratch());
    // Root can give a file away; to anybody else, a file of theirs is another's as soon as they are somebody else.
    const me = process.geteuid?.() ?? 0;
    if (me === 0) chownSync(path, 12_345, 12_345);
    const asked = me === 0 ? undefined : vi.spyOn(process, "geteuid").mockReturnValue(me + 1);
    try {
      await expect(readKeyFile(path)).rejects.toMatchObject({
        code: "KEY_FILE_REFUSED",
        message: expect.stringContaining("belongs to user"),
      });
    } finally {
      asked?.mockRestore();
    }
  });

  test("with mode 400, or with a second name, is fine; one that isn't there is told", async () => {
    const path = await keyIn(scratch());
    chmodSync(path, 0o400);
    linkSync(path, `${path}-2`);
    expect(await readKeyFile(`${path}-2`)).toHaveLength(32);
    await expect(readKeyFile(`${path}-3`)).rejects.toMatchObject({ code: "KEY_FILE_UNREADABLE" });
  });

  const writeMode = (path: string, mode: number) => {
    writeFileSync(path, new Uint8Array(32).fill(1));
    chmodSync(path, mode);
  };
});

describe("the command line", () => {
  test("writes and reads an encrypted log with its key, and refuses it without, or with another", async () => {
    const directory = scratch();
    const log = join(directory, "log");
    const [key, other] = [join(directory, "key"), join(directory, "other")];
    for (const path of [key, other]) await ok(["keygen", path]);
    expect((await ok(["append", log, "--key-file", key], { input: "tea\nmilk\n" })).toString()).toBe(
      "durable 2\n",
    );
    expect((await ok(["cat", log, "--key-file", key])).toString()).toBe("tea\nmilk\n");
    for (const segment of segments(log)) expect(readFileSync(segment).includes("milk")).toBe(false);

    const before = snapshot(log);
    for (const [args, code] of [
      [["cat", log], "WAL_KEY_MISSING"],
      [["append", log], "WAL_KEY_MISSING"],
      [["cat", log, "--key-file", other], "WAL_KEY_WRONG"],
      [["append", log, "--key-file", other], "WAL_KEY_WRONG"],
      [["cat", log, "--key-file", `2=${key}`], "WAL_KEY_MISSING"],
      [["cat", log, "--key-file", directory], "KEY_FILE_REFUSED"],
      [["cat", log, "--key-file", `${key}-2`], "KEY_FILE_UNREADABLE"],
      [["cat", log, "--key-file", key, "--key-file", other], "CLI_USAGE"],
      [["cat", log, "--accept-unencrypted"], "CLI_USAGE"],
      [["rotate", log], "CLI_USAGE"],
      [["keygen", key], "KEY_FILE_EXISTS"],
    ] as const) {
      const outcome = await run(args);
      expect(outcome.stderr, args.join(" ")).toMatch(new RegExp(`^stonewal: ${code}: [^\\n]+\\n$`));
      expect(outcome.code).toBe(2);
    }
    expect(snapshot(log)).toEqual(before);
  });

  test("verify, inspect and repair look at the structure without keys, and say so", async () => {
    const directory = scratch();
    const key = await keyIn(directory);
    const log = join(directory, "log");
    await ok(["append", log, "--key-file", key, "--compress", "deflate-raw"], {
      input: "again and ".repeat(5000),
    });
    expect((await ok(["verify", log])).toString()).toContain(
      "encrypted with key 1; not given, so not checked: 1",
    );
    const checked = (await ok(["verify", log, "--key-file", key])).toString();
    expect(checked).toContain("encrypted with key 1\n");
    expect(checked).toContain("every acknowledged record is readable");
    const report = JSON.parse((await ok(["inspect", log, "--json"])).toString());
    expect(report.encryption).toEqual({ keyIds: [1], unchecked: [1], unencryptedSegments: 0 });
    expect(report.frameList[1]).toMatchObject({ kind: "data", keyId: 1, compression: "deflate-raw" });
    await ok(["repair", log]);
    await ok(["repair", log, "--dry-run"]);
    expect((await ok(["cat", log, "--key-file", key])).toString()).toBe(`${"again and ".repeat(5000)}\n`);
    const everything = (await ok(["inspect", log, "--json", "--key-file", key])).toString();
    expect(everything).not.toContain(readFileSync(key).toString("hex"));
    expect(everything).not.toContain(readFileSync(key).toString("base64").slice(0, 40));
  });

  test("rotate goes over to another key; the old one is needed for what is older", async () => {
    const directory = scratch();
    const [old, current] = [await keyIn(directory, "old"), await keyIn(directory, "new")];
    const log = join(directory, "log");
    await ok(["append", log, "--key-file", old], { input: "old\n" });
    const before = readFileSync(segments(log)[0]!).subarray(131_072, 131_072 + 8192);
    const both = ["--key-file", `2=${current}`, "--key-file", old];
    const said = (await ok(["rotate", log, ...both])).toString();
    expect(said).toBe("records behind LSN 1 are written with key 2\n");
    await ok(["append", log, ...both], { input: "new\n" });
    expect((await ok(["cat", log, ...both])).toString()).toBe("old\nnew\n");
    expect(readFileSync(segments(log)[0]!).subarray(131_072, 131_072 + 8192)).toEqual(before);
    const alone = await run(["cat", log, "--key-file", `2=${current}`]);
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining("WAL_KEY_MISSING") });
    expect((await ok(["verify", log])).toString()).toContain("encrypted with keys 1, 2");
  });

  test("an older copy is told by who kept the tip, as append and inspect print it, with every command that looks at a log", async () => {
    const directory = scratch();
    const key = ["--key-file", await keyIn(directory)];
    const [log, older] = [join(directory, "log"), join(directory, "older")];
    await ok(["append", log, ...key], { input: "tea\n" });
    cpSync(log, older, { recursive: true });
    const said = (await ok(["append", log, ...key, "--tip"], { input: "milk\n" })).toString();
    const [, tip] = /^durable 2\ntip (2:[\da-f]{32})\n$/.exec(said) as unknown as [string, string];
    expect((await ok(["inspect", log])).toString()).toContain(`\n  tip ${tip}\n`);
    for (const command of ["inspect", "verify"])
      expect(JSON.parse((await ok([command, log, "--json"])).toString()).tip).toBe(tip);

    const asked = [...key, "--at-least", tip];
    const before = snapshot(older);
    for (const command of [
      ["cat"],
      ["verify"],
      ["inspect"],
      ["repair"],
      ["repair", "--dry-run"],
      ["append"],
      ["rotate"],
    ]) {
      const [name, ...more] = command as [string, ...string[]];
      const refused = await run([name, older, ...more, ...asked], { input: "" });
      expect(refused.code, command.join(" ")).toBe(1);
      expect(refused.stdout + refused.stderr, command.join(" ")).toContain("WAL_ROLLED_BACK");
      // Not even what an older copy has is printed as if it were the log.
      if (name === "cat") expect(refused.stdout.toString()).toBe("");
      const gone = await run([name, join(directory, "nowhere"), ...more, ...asked], { input: "" });
      expect(gone, command.join(" ")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("WAL_ROLLED_BACK"),
      });
      await ok([name, log, ...more, ...asked], { input: "" });
    }
    expect(snapshot(older)).toEqual(before);
    expect(existsSync(join(directory, "nowhere"))).toBe(false);

    // As long as the log, and another one.
    await ok(["append", older, ...key], { input: "salt\n" });
    expect(await run(["cat", older, ...asked])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another history"),
    });
  });

  test("a tip that can't be one is a wrong call; in the clear it is the LSN alone", async () => {
    const log = join(scratch(), "log");
    expect((await ok(["append", log, "--tip"], { input: "tea\n" })).toString()).toBe("durable 1\ntip 1\n");
    for (const wrong of [
      "",
      "x",
      "-1",
      "1:",
      "1:abc",
      `1:${"0".repeat(31)}g`,
      `1:${"0".repeat(34)}`,
      "9007199254740992",
      "1 ",
    ]) {
      const outcome = await run(["verify", log, "--at-least", wrong]);
      expect(outcome, wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("CLI_USAGE") });
    }
    const salvage = await run(["repair", log, "--at-least", "1", "--salvage", `${log}-2`]);
    expect(salvage).toMatchObject({ code: 2, stderr: expect.stringContaining("CLI_USAGE") });
    await ok(["verify", log, "--at-least", "1"]);
    expect(await run(["verify", log, "--at-least", "2"])).toMatchObject({ code: 1 });
    // Nobody could have kept the tag of what was never encrypted.
    expect(await run(["verify", log, "--at-least", `1:${"0".repeat(32)}`])).toMatchObject({ code: 1 });
  });

  test("a log that isn't encrypted is taken where that is said, and is encrypted from then on", async () => {
    const directory = scratch();
    const key = await keyIn(directory);
    const log = join(directory, "log");
    await ok(["append", log], { input: "before\n" });
    const refused = await run(["append", log, "--key-file", key], { input: "after\n" });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("WAL_NOT_ENCRYPTED") });
    await ok(["rotate", log, "--key-file", key, "--accept-unencrypted"]);
    await ok(["append", log, "--key-file", key], { input: "after\n" });
    expect((await ok(["cat", log, "--key-file", key])).toString()).toBe("before\nafter\n");
    expect((await ok(["verify", log])).toString()).toContain("1 segment from before");
  });
});

test("one flipped byte anywhere in the used part of an encrypted log is named, or made good; nothing wrong is ever delivered", async () => {
  const directory = scratch();
  const keys = await ringOf(await keyIn(directory));
  const log = join(directory, "log");
  await closedLog(log, 12, { encryption: { keys }, dwb: "off" });
  const [path] = segments(log) as [string];
  const original = readFileSync(path);
  for (let at = 131_072; at < 131_072 + 16 * 4096; at += 1499) {
    const damaged = Buffer.from(original);
    damaged[at]! ^= 1 << (at % 8);
    writeFileSync(path, damaged);
    const reader = await openReader({ dir: log, damaged: "prefix", encryption: { keys } });
    const texts: string[] = [];
    try {
      for await (const record of reader.replay()) texts.push(Buffer.from(record.payload).toString());
    } catch (error) {
      expect((error as { code: string }).code).toBe("WAL_CORRUPT");
    }
    await reader.close();
    expect(texts).toEqual(Array.from({ length: texts.length }, (_, i) => line(i + 1)));
    const report = await verify({ dir: log, encryption: { keys } });
    expect(texts.length === 12 || report.corruption.length > 0).toBe(true);
  }
  writeFileSync(path, original);
});

test("what is salvaged of an encrypted log lies in an encrypted log", async () => {
  const directory = scratch();
  const keys = await ringOf(await keyIn(directory));
  const [log, to] = [join(directory, "log"), join(directory, "salvaged")];
  await closedLog(log, 12, { encryption: { keys }, dwb: "off" });
  const [path] = segments(log) as [string];
  const damaged = readFileSync(path);
  damaged.fill(0, 131_072 + 6 * 4096, 131_072 + 7 * 4096);
  writeFileSync(path, damaged);
  const report = await salvageLog({ dir: log, to, encryption: { keys } });
  expect(report).toMatchObject({ records: 11, missing: [{ firstLsn: 6, lastLsn: 6 }] });
  for (const segment of segments(to)) expect(readFileSync(segment).includes("line ")).toBe(false);
  expect((await verify({ dir: to, encryption: { keys } })).records).toBe(11);
});

test("a log on a real disk with keys from a provider, a ring that shows nothing, and a tip that tells an older copy", async () => {
  const directory = scratch();
  const dir = join(directory, "log");
  const key = await readKeyFile(await keyIn(directory));
  const keys = new KeyRing({ current: 5, provider: async () => Uint8Array.from(key) });
  const wal = await openWal({
    dir,
    ...SMALL,
    encryption: { keys, routing: "readable" },
    compression: "brotli",
  });
  for (let lsn = 1; lsn <= 5; lsn++) await wal.commit({ payload: bytes(line(lsn)), tenant: 7 });
  const { tip } = wal;
  await wal.close();
  expect(inspect([keys, wal], { depth: 8, showHidden: true })).not.toContain(
    Buffer.from(key).toString("hex"),
  );
  expect(printed(5)).toContain(line(5));
  const again = await openWal({ dir, ...SMALL, encryption: { keys }, atLeast: tip });
  await again.close();
  const later = { ...tip, lsn: tip.lsn + 1 };
  await expect(openWal({ dir, ...SMALL, encryption: { keys }, atLeast: later })).rejects.toMatchObject({
    code: "WAL_ROLLED_BACK",
  });
});
