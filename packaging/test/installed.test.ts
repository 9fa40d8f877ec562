// The packages as npm installs them from their tarballs, with no install script allowed to run.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { backendsHere } from "../../packages/stonewal/test/support/backends-here.mjs";
import { run } from "./support/command.js";
import { projectDir, runProgram, scratchDir } from "./support/consumer.js";
import { publicPackages, readManifest } from "./support/workspace.js";

const LOG_ROUND_TRIP = `
  async function roundTrip(openWal, io) {
    const wal = await openWal({ dir: "log", io, segmentBytes: 1 << 20 });
    await wal.commit({ payload: Buffer.from("first") });
    await Promise.all(["second", "third"].map((text) => wal.commit({ payload: Buffer.from(text) })));
    await wal.close();
    const again = await openWal({ dir: "log", io, segmentBytes: 1 << 20 });
    for await (const { lsn, payload } of again.read()) console.log(lsn, Buffer.from(payload).toString());
    console.log(again.io.name, "closed cleanly:", again.recovery.closedCleanly);
    await again.close();
  }
`;
const roundTripOutput = (io: string) => `1 first\n2 second\n3 third\n${io} closed cleanly: true\n`;

const backends = await backendsHere();

describe("installed from the tarballs", () => {
  it.each(publicPackages())(
    "$name is there, without a dependency of the workspace's own kind",
    ({ name }) => {
      const manifest = readManifest(path.join(projectDir, "node_modules", name));
      for (const range of Object.values(manifest.dependencies ?? {})) {
        expect(range).not.toMatch(/^(workspace|catalog|link|file):/);
      }
    },
  );

  it("holds one copy of each package, so that instanceof works across them", () => {
    const nested = publicPackages().filter(({ name }) =>
      existsSync(path.join(projectDir, "node_modules", name, "node_modules", "@stonewal")),
    );
    expect(nested).toEqual([]);
    expect(readdirSync(path.join(projectDir, "node_modules", "@stonewal")).sort()).toEqual(
      publicPackages()
        .filter(({ name }) => name.startsWith("@stonewal/"))
        .map(({ name }) => name.slice("@stonewal/".length))
        .sort(),
    );
  });

  it.each(publicPackages())(
    "$name loads with import and with require, as the same module",
    async ({ name }) => {
      const program = `
      const { createRequire } = await import("node:module");
      const imported = await import("${name}");
      const required = createRequire(import.meta.url)("${name}");
      console.log(imported === required || Object.keys(imported).every((key) => imported[key] === required[key]));
      console.log(Object.keys(imported).length > 0);
    `;
      expect(await runProgram("load.mjs", program)).toBe("true\ntrue\n");
    },
  );

  describe.each(backends)("with %s", (io) => {
    it("writes a log and reads it back from an ES module", async () => {
      const program = `import { openWal } from "stonewal"; ${LOG_ROUND_TRIP} await roundTrip(openWal, "${io}");`;
      expect(await runProgram("program.mjs", program)).toBe(roundTripOutput(io));
    });

    it("writes a log and reads it back from CommonJS", async () => {
      const program = `
        const { openWal } = require("stonewal"); ${LOG_ROUND_TRIP}
        roundTrip(openWal, "${io}").catch((error) => { console.error(error); process.exitCode = 1; });
      `;
      expect(await runProgram("program.cjs", program)).toBe(roundTripOutput(io));
    });

    it("builds a log from packages picked by hand, without the package stonewal", async () => {
      const [name, make] =
        io === "pwrite" ? ["@stonewal/io-pwrite", "pwrite"] : ["@stonewal/io-uring", "uring"];
      const program = `
        import { ${make} } from "${name}";
        import { openLog } from "@stonewal/writer";
        ${LOG_ROUND_TRIP}
        const io = ${make}();
        await roundTrip(({ dir, ...options }) => openLog({ ...options, directory: dir }), io);
        await io.close();
      `;
      expect(await runProgram("program.mjs", program)).toBe(roundTripOutput(io));
    });
  });
});

describe("the command stonewal, installed", () => {
  const stonewal = (args: readonly string[], cwd: string, input = "") =>
    run(path.join(projectDir, "node_modules", ".bin", "stonewal"), args, { cwd, input });

  it("appends standard input, and prints it back byte for byte", async () => {
    const cwd = scratchDir();
    const input = "one\ntwo\n\nfour\n";
    const appended = await stonewal(["append", "log"], cwd, input);
    expect(appended).toMatchObject({ code: 0, stderr: "" });
    expect(appended.stdout.trimEnd().split("\n").at(-1)).toBe("durable 4");
    expect(await stonewal(["cat", "log"], cwd)).toEqual({ code: 0, stdout: input, stderr: "" });
    expect((await stonewal(["verify", "log"], cwd)).code).toBe(0);
  });

  it("ends with 2, one line and no stack trace, where there is no log", async () => {
    const { code, stderr } = await stonewal(["cat", "nowhere"], scratchDir());
    expect(code).toBe(2);
    expect(stderr).toMatch(/WAL_NOT_FOUND/);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});
