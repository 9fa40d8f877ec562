// What docs/testing-your-storage.md prints as code runs as it is printed, in a project that has nothing but the installed packages.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { mustRun } from "./support/command.js";
import { scratchDir } from "./support/consumer.js";
import { codeBlocks } from "./support/markdown.js";
import { root } from "./support/workspace.js";

const PAGE = "docs/testing-your-storage.md";

const NAMES = [
  "cell.mjs",
  "crashes.test.mjs",
  "faults.test.mjs",
  "campaign.mjs",
  "campaign.test.mjs",
  "log.test.mjs",
];

it("the guide to testing one's storage: its tests pass as printed, and its campaign finds what it says", {
  timeout: 120_000,
}, async () => {
  const programs = codeBlocks(PAGE, "js");
  expect(programs).toHaveLength(NAMES.length);
  const cwd = scratchDir();
  for (const [index, name] of NAMES.entries()) writeFileSync(path.join(cwd, name), programs[index] as string);
  const tests = NAMES.filter((name) => name.includes(".test."));
  const output = await mustRun(process.execPath, ["--test", "--test-reporter=tap", ...tests], { cwd });
  expect(output).toMatch(/^# pass 10$/m);
  // What it shows of the report is what is printed.
  const [report] = codeBlocks(PAGE, "text");
  const printed = output.replaceAll(/^# ?/gm, "");
  for (const line of (report as string).split("\n").slice(0, 3)) expect(printed).toContain(line);
  const [, steps] = /^steps \((\d+)\):$/m.exec(report as string) ?? [];
  expect(printed).toContain(`steps (${steps}):`);
  expect(readFileSync(path.join(root, PAGE), "utf8")).toContain(`Of 30 steps ${steps} are left:`);
});
