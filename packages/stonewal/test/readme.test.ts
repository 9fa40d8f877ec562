import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { backendsHere } from "./support/backends-here.mjs";
import { MAIN } from "./support/cli.js";
import { scratch } from "./support/files.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

function block(language: string): string {
  const found = [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(
    (match) => match[1],
  );
  expect(found).toHaveLength(1);
  return found[0] as string;
}

/** A directory in which this package is installed. */
function project(): string {
  const dir = scratch();
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(fileURLToPath(new URL("..", import.meta.url)), join(dir, "node_modules", "stonewal"));
  return dir;
}

test("the first program runs as printed, and when it is run again", async () => {
  const dir = project();
  writeFileSync(join(dir, "program.mjs"), block("js"));
  const io = (await backendsHere())[0];
  for (const [first, last] of [
    [1, 2],
    [3, 4],
  ]) {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["program.mjs"], {
      cwd: dir,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toBe(`durable up to ${last}, on ${io}\n${first} tea\n${last} milk\n`);
  }
});

test("the commands print what the README shows", () => {
  const dir = project();
  const bin = join(dir, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "stonewal"), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, {
    mode: 0o755,
  });
  const { FORCE_COLOR: _, ...rest } = process.env;
  const env = { ...rest, PATH: `${bin}${delimiter}${process.env.PATH}` };
  for (const example of block("console").split(/^\$ /m).slice(1)) {
    const [command, ...output] = example.split("\n");
    const { stdout, stderr } = spawnSync("sh", ["-c", command as string], {
      cwd: dir,
      env,
      encoding: "utf8",
    });
    // Paths are absolute; a slow machine falls quiet in between, which leaves a frame more.
    const shown = (stdout + stderr).replaceAll(`${dir}/`, "").replace(/\d+ images/, "5 images");
    expect(shown).toBe(output.join("\n"));
  }
});
