import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

async function example(readme: string): Promise<string> {
  const text = await readFile(new URL(readme, import.meta.url), "utf8");
  const blocks = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]);
  expect(blocks.length).toBe(1);
  return blocks[0] as string;
}

/** In a folder inside the package, so that it finds what an installed program would. */
async function run(
  files: Readonly<Record<string, string>>,
): Promise<{ status: number | null; output: string }> {
  const build = join(PACKAGE, "build");
  await mkdir(build, { recursive: true });
  const directory = await mkdtemp(join(build, "readme-"));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    // Under a test runner of its own, node:test would report to it and not to us.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawnSync(process.execPath, ["main.mjs"], { cwd: directory, env, encoding: "utf8" });
    return { status: child.status, output: child.stdout + child.stderr };
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("the README's example runs as printed", async () => {
  const { status, output } = await run({ "main.mjs": await example("../README.md") });
  expect({ status, output }).toEqual({ status: 0, output: "4096 bytes are on stable storage\n" });
});

test("the example in @stonewal/io's README tests a back end that a stranger wrote", {
  timeout: 60_000,
}, async () => {
  const { status, output } = await run({
    "main.mjs": await example("../../io/README.md"),
    "my-backend.js": 'export { pwrite as myBackend } from "@stonewal/io-pwrite";',
  });
  expect(status, output).toBe(0);
  const passed = Number(/^\S+ pass (\d+)$/m.exec(output)?.[1]);
  expect(passed).toBeGreaterThan(40);
  expect(output).toMatch(/^\S+ fail 0$/m);
});
