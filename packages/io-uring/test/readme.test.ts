import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("the README's example runs as printed", async () => {
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const blocks = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] as string);
  expect(blocks.length).toBe(1);
  // In a folder inside the package, so that it finds what an installed program would.
  const build = fileURLToPath(new URL("../build", import.meta.url));
  await mkdir(build, { recursive: true });
  const directory = await mkdtemp(join(build, "readme-"));
  try {
    await writeFile(join(directory, "main.mjs"), blocks[0] as string);
    const child = spawnSync(process.execPath, ["main.mjs"], { cwd: directory, encoding: "utf8" });
    expect(child).toMatchObject({ status: 0, stdout: "4096 bytes are on stable storage\n", stderr: "" });
  } finally {
    await rm(directory, { recursive: true });
  }
});
