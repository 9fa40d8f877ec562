// What the READMEs of the repository and of @stonewal/threads print as code runs as it is printed, in a project that has nothing but the installed packages.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { mustRun } from "./support/command.js";
import { projectDir, runProgram, scratchDir } from "./support/consumer.js";
import { codeBlocks } from "./support/markdown.js";

const programs = codeBlocks("README.md", "js");
const [firstProgram, byHand] = programs as [string, string];

describe("the README", () => {
  it("has two programs", () => {
    expect(programs).toHaveLength(2);
  });

  it("shows a first program of at most fifteen lines, which finds what it has kept when it runs again", async () => {
    expect(firstProgram.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
    const cwd = scratchDir();
    expect(await runProgram("first.mjs", firstProgram, cwd)).toBe("kept tea as 1\nkept milk as 2\n");
    expect(await runProgram("first.mjs", firstProgram, cwd)).toBe(
      "found tea at 1\nfound milk at 2\nkept tea as 3\nkept milk as 4\n",
    );
  });

  it("shows how to pick the packages by hand", async () => {
    expect(await runProgram("by-hand.mjs", byHand)).toBe("pwrite: 3 records, protecting\n");
  });

  it("shows commands that work in a shell", async () => {
    const [commands] = codeBlocks("README.md", "sh").filter((block) => block.includes("stonewal append"));
    const cwd = scratchDir();
    const script = `set -e\nPATH="${projectDir}/node_modules/.bin:$PATH"\n${commands}`;
    const output = await mustRun("bash", ["-c", script], { cwd });
    expect(output).toContain("durable");
  });
});

describe("the README of @stonewal/threads", () => {
  it("shows an owner and a worker that commit what they say", async () => {
    const [owner, worker] = codeBlocks("packages/threads/README.md", "js") as [string, string];
    const cwd = scratchDir();
    writeFileSync(path.join(cwd, "worker.mjs"), worker);
    const output = await runProgram("owner.mjs", owner, cwd);
    expect(output.trimEnd().split("\n").sort()).toEqual([1, 2, 3, 4].map((lsn) => `durable: ${lsn}`));
    const cat = await mustRun(`${projectDir}/node_modules/.bin/stonewal`, ["cat", "orders-log"], { cwd });
    expect(cat).toBe("hello\n".repeat(4));
  });
});
