import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { documents, PAGE } from "../src/docs.js";
import { writeResults } from "../src/results.js";
import { measured, results } from "./made-up-results.js";

test("every figure and chart of docs/performance.md is what the results it names say", async () => {
  const page = await readFile(PAGE, "utf8");
  const named = /\(([^)]*results\/[^)]*\.json)\)/.exec(page)?.[1];
  if (named === undefined) throw new Error("the page names no results");
  const { files } = await documents(path.resolve(path.dirname(PAGE), named), page);
  for (const [file, text] of files) {
    expect(await readFile(file, "utf8"), `run: npm run bench -- --write-docs ${path.basename(named)}`).toBe(
      text,
    );
  }
});

/** Results of one small experiment, as an older bench or `--only` leaves them. */
async function partOfARun(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), "stonewal-bench-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = path.join(directory, "part.json");
  const sides = { append: { figures: { perSecond: measured(3e6, 3e6) } } };
  await writeResults(file, results({ experiment: "appending", name: "append without waiting", sides }));
  return file;
}

test("what a run did not measure is said where it would be, instead of figures of another run, and the rest is written", async () => {
  const page = await readFile(PAGE, "utf8");
  const { files, missing } = await documents(await partOfARun(), page);
  const text = files.get(PAGE) as string;
  const section = (name: string) => text.split(`<!-- figures: ${name} -->\n`)[1]?.split("<!-- end")[0];
  expect(section("appending")).toContain("| append | 3 M |");
  for (const name of ["committers", "latency", "layers", "safety", "encodings", "encoding", "decoding"]) {
    expect(section(name)).toBe("Not measured in this run.\n");
    expect(missing).toContain(name);
  }
  expect(missing).not.toContain("appending");
  // Nothing but figures was touched: with a whole run again, the page is what it was.
  const without = (figures: string) => figures.replace(/(<!-- figures.*?-->).*?(?=<!-- end)/gs, "$1");
  expect(without(text)).toBe(without(page));
});

test("figures that no run can have are a slip on the page, and not taken for ones that are missing", async () => {
  const page = "<!-- figures: latencies -->\n<!-- end of figures -->\n";
  await expect(documents(await partOfARun(), page)).rejects.toThrow("the page asks for latencies");
});
