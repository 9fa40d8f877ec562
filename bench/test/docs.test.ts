import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { documents, PAGE } from "../src/docs.js";

test("every figure and chart of docs/performance.md is what the results it names say", async () => {
  const page = await readFile(PAGE, "utf8");
  const named = /\(([^)]*results\/[^)]*\.json)\)/.exec(page)?.[1];
  if (named === undefined) throw new Error("the page names no results");
  for (const [file, text] of await documents(path.resolve(path.dirname(PAGE), named), page)) {
    expect(await readFile(file, "utf8"), `run: npm run bench -- --write-docs ${path.basename(named)}`).toBe(
      text,
    );
  }
});
