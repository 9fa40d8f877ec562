import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { durableLsns, lastDurable, ok, outcome, run, start } from "./support/cli.js";
import { scratch } from "./support/files.js";

async function appended(dir: string, input: string | Uint8Array, ...options: string[]): Promise<number> {
  return lastDurable(await ok(["append", dir, ...options], { input }));
}

describe("what goes in comes out, byte for byte", () => {
  test("100,000 short lines, in a few commits and not in one each", async () => {
    const dir = scratch();
    const input = "y\n".repeat(100_000);
    const durable = durableLsns(await ok(["append", dir], { input }));
    expect(durable.at(-1)).toBe(100_000);
    expect(durable.length).toBeLessThan(500);
    expect((await ok(["cat", dir])).equals(Buffer.from(input))).toBe(true);
  });

  test("bytes that are no text, carriage returns, empty lines", async () => {
    const dir = scratch();
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const input = Buffer.concat([
      Buffer.from("\n\r\n\n"),
      every,
      Buffer.from("\n\xff\xfe\r\n", "latin1"),
      every,
      Buffer.from("\n"),
    ]);
    const lines = input.filter((byte) => byte === 0x0a).length;
    expect(await appended(dir, input)).toBe(lines);
    expect((await ok(["cat", dir])).equals(input)).toBe(true);
  });

  test("a last line without a newline counts; no input is no record", async () => {
    const dir = scratch();
    expect(await appended(dir, "one\ntwo")).toBe(2);
    expect(await ok(["append", dir], { input: "" })).toHaveLength(0);
    expect(await appended(dir, "three\n")).toBe(3);
    expect((await ok(["cat", dir])).toString()).toBe("one\ntwo\nthree\n");
  });

  test("lines of many MiB between short ones, more of them than the buffer holds", async () => {
    const dir = scratch();
    const long = Buffer.alloc(24 * 1024 * 1024, "long ");
    const newline = Buffer.from("\n");
    const input = Buffer.concat([
      Buffer.from("a\n"),
      long,
      newline,
      Buffer.from("b\n"),
      long,
      newline,
      long,
      newline,
      Buffer.from("c\n"),
    ]);
    expect(await appended(dir, input)).toBe(6);
    expect((await ok(["cat", dir])).equals(input)).toBe(true);
    const lengths = (await ok(["cat", dir, "--json"]))
      .toString()
      .trimEnd()
      .split("\n")
      .map((text) => Buffer.from(JSON.parse(text).payload, "base64").length);
    expect(lengths).toEqual([1, long.length, 1, long.length, long.length, 1]);
  });

  test("a line that no segment can hold is refused, and what came before it is durable", async () => {
    const dir = scratch();
    const input = Buffer.concat([
      Buffer.from("before\n"),
      Buffer.alloc(70 * 1024 * 1024, 0x78),
      Buffer.from("\n"),
    ]);
    const { code, stdout, stderr } = await run(["append", dir], { input });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^stonewal: WAL_RECORD_TOO_LARGE: [^\n]+ LSN 1\)\n$/);
    expect(lastDurable(stdout)).toBe(1);
    expect((await ok(["cat", dir])).toString()).toBe("before\n");
  });

  test("written through the page cache, then past it, then through it again: nothing is lost in between", async () => {
    const dir = scratch();
    let expected = "";
    for (const [round, ...options] of [
      ["1", "--buffered"],
      ["2", "--direct"],
      ["3", "--buffered", "--dwb", "direct"],
      ["4", "--direct", "--dwb", "buffered"],
      ["5", "--buffered", "--dwb", "off", "--io", "pwrite"],
      ["6", "--ack", "dwb"],
    ] as const) {
      const input = Array.from({ length: 500 }, (_, i) => `round ${round} line ${i}\n`).join("");
      expected += input;
      await appended(dir, input, ...options);
      expect((await ok(["cat", dir])).toString()).toBe(expected);
    }
    expect(JSON.parse((await ok(["verify", dir, "--json"])).toString())).toMatchObject({
      records: 3000,
      corruption: [],
    });
  });
});

describe("durable LSNs", () => {
  test("go up, end with the last record, and are printed when the input pauses, not when it ends", async () => {
    const dir = scratch();
    const child = start(["append", dir]);
    const ended = outcome(child);
    for (let lsn = 1; lsn <= 3; lsn++) {
      const moved = once(child.stdout, "data");
      child.stdin.write(`line ${lsn}\n`);
      expect(((await moved)[0] as Buffer).toString()).toBe(`durable ${lsn}\n`);
    }
    child.stdin.end("line 4");
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(durableLsns(stdout)).toEqual([1, 2, 3, 4]);
  });

  test("with --sync-every there is one commit for every so many records, and one for the rest", async () => {
    const stdout = await ok(["append", scratch(), "--sync-every", "3"], {
      input: "a\nb\nc\nd\ne\nf\ng\nh\n",
    });
    expect(durableLsns(stdout)).toEqual([3, 6, 8]);
  });

  test("with --sync-every, what is left while the input pauses becomes durable all the same", async () => {
    const child = start(["append", scratch(), "--sync-every", "1000"]);
    const ended = outcome(child);
    for (const lsn of [1, 2]) {
      // Longer than the log takes to fall quiet.
      await new Promise((resolve) => setTimeout(resolve, 600));
      const moved = once(child.stdout, "data");
      child.stdin.write("line\n");
      expect(((await moved)[0] as Buffer).toString()).toBe(`durable ${lsn}\n`);
    }
    child.stdin.end();
    expect((await ended).code).toBe(0);
  });
});

describe("cat", () => {
  test("prints the range asked for, and nothing behind the end", async () => {
    const dir = scratch();
    await appended(dir, "a\nb\nc\nd\n");
    expect((await ok(["cat", dir, "--from", "2", "--to", "3"])).toString()).toBe("b\nc\n");
    expect((await ok(["cat", dir, "--from", "3"])).toString()).toBe("c\nd\n");
    expect((await ok(["cat", dir, "--to", "100"])).toString()).toBe("a\nb\nc\nd\n");
    expect(await ok(["cat", dir, "--from", "5"])).toHaveLength(0);
  });

  test("as JSON, with every field and the payload as base64", async () => {
    const dir = scratch();
    const before = Date.now();
    await appended(dir, Buffer.from([0x00, 0xff, 0x0a, 0x0a]), "--type", "0x80000007");
    const records = (await ok(["cat", dir, "--json"]))
      .toString()
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(records).toMatchObject([
      { lsn: 1, type: 0x80000007, tenant: 0, shard: 0, database: 0, payload: "AP8=" },
      { lsn: 2, type: 0x80000007, payload: "" },
    ]);
    expect(Object.keys(records[0])).toEqual([
      "lsn",
      "type",
      "tenant",
      "shard",
      "database",
      "time",
      "payload",
    ]);
    expect(records[0].time).toBeGreaterThanOrEqual(before);
    expect(records[0].time).toBeLessThanOrEqual(Date.now());
  });

  test("beside a writer at work prints a prefix of what was appended, with 0", async () => {
    const dir = scratch();
    const child = start(["append", dir]);
    const ended = outcome(child);
    let written = 0;
    let stop = false;
    const writing = (async () => {
      while (!stop) {
        if (!child.stdin.write(`line ${++written}\n`)) await once(child.stdin, "drain");
        if (written % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    await once(child.stdout, "data");
    for (let round = 0; round < 4; round++) {
      const lines = (await ok(["cat", dir])).toString().split("\n").slice(0, -1);
      expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${i + 1}`));
      expect((await run(["verify", dir])).code).toBe(0);
    }
    stop = true;
    await writing;
    child.stdin.end();
    expect((await ended).code).toBe(0);
    expect((await ok(["cat", dir])).toString().split("\n")).toHaveLength(written + 1);
  });
});

describe("a reader of standard output that goes away", () => {
  test("ends cat and inspect quietly", async () => {
    const dir = scratch();
    await appended(dir, "x".repeat(100).concat("\n").repeat(50_000));
    for (const command of ["cat", "inspect"]) {
      const child = start([command, dir]);
      child.stdout.once("data", () => child.stdout.destroy());
      const { code, stderr } = await outcome(child);
      expect(stderr).toBe("");
      expect(code).toBe(0);
    }
  });

  test("does not keep append from making everything durable, and is not hidden", async () => {
    const dir = scratch();
    const child = start(["append", dir]);
    child.stdout.destroy();
    const ended = outcome(child);
    child.stdin.end("y\n".repeat(200_000));
    const { code, stderr } = await ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^stonewal: CLI_OUTPUT: [^\n]*LSN 200000\)\n$/);
    expect(await ok(["cat", dir])).toHaveLength(400_000);
  });
});

describe("a signal", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s: what was read is durable, the log is closed, and the exit code tells that there may be more",
    async (signal) => {
      const dir = scratch();
      const child = start(["append", dir]);
      const ended = outcome(child);
      child.stdin.write("one\ntwo\nhalf a li");
      await once(child.stdout, "data");
      child.kill(signal);
      const { code, stdout, stderr } = await ended;
      expect(code).toBe(2);
      expect(stderr).toMatch(new RegExp(`^stonewal: CLI_INTERRUPTED: ${signal} [^\n]*LSN 2\\)\n$`));
      expect(lastDurable(stdout)).toBe(2);
      expect((await ok(["cat", dir])).toString()).toBe("one\ntwo\n");
      expect(JSON.parse((await ok(["verify", dir, "--json"])).toString())).toMatchObject({
        closedCleanly: true,
        tornTail: false,
      });
    },
  );
});
