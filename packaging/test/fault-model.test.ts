// Each claim of docs/fault-model.md names the tests that show it. They have to be there, under these names.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./support/workspace.js";

const page = readFileSync(path.join(root, "docs", "fault-model.md"), "utf8");

interface Citation {
  readonly number: string;
  readonly file: string;
  readonly title: string;
}

const citations: Citation[] = [...page.matchAll(/^(\d+)\. (\S+): "(.*)"$/gm)].map(
  ([, number, file, title]) => ({ number, file, title }) as Citation,
);

/** The last cell of each row of the table. */
const cited = [...page.matchAll(/^\| .* \| ([\d ]+) \|$/gm)].flatMap(([, numbers]) =>
  (numbers as string).split(" "),
);

/** That section cites in its table itself. */
const traps = page
  .slice(page.indexOf("## Traps seen in other logs"))
  .split("\n")
  .filter((line) => /^\| [A-Z"]/.test(line));
const trapCitations = traps.flatMap((row) => [...row.matchAll(/([\w./-]+\.ts): "(.*?)"(?=;| \|)/g)]);

describe("docs/fault-model.md", () => {
  it("numbers its tests in order, and every one of them belongs to a row", () => {
    expect(citations.map(({ number }) => Number(number))).toEqual(citations.map((_, index) => index + 1));
    expect([...new Set(cited)].map(Number).sort((a, b) => a - b)).toEqual(
      citations.map(({ number }) => Number(number)),
    );
  });

  it.each(citations)("$number $title", ({ file, title }) => {
    const source = path.join(root, "packages", file);
    expect(existsSync(source), `${file} is not there`).toBe(true);
    expect(readFileSync(source, "utf8")).toContain(title);
  });

  it("names a test for each trap, and each of them is there", () => {
    expect(traps.length).toBeGreaterThan(15);
    for (const row of traps) expect(row).toMatch(/\.ts: ".*" \|$/);
    expect(trapCitations.length).toBeGreaterThanOrEqual(traps.length);
    for (const [, file, title] of trapCitations as unknown as [string, string, string][]) {
      const source = path.join(root, "packages", file);
      expect(existsSync(source), `${file} is not there`).toBe(true);
      expect(readFileSync(source, "utf8")).toContain(title);
    }
  });
});
