import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { edit, MutantError, mutatedSources } from "../src/mutant.js";
import { mutants } from "../src/mutants.js";
import { tableOf } from "../src/report.js";

describe("the list of mutants", () => {
  test.each(mutants)("the code that it breaks is there, once: $name", (mutant) => {
    for (const source of mutatedSources(mutant).values()) expect(source.length).toBeGreaterThan(0);
  });

  test("docs/fault-model.md has the same mutants, caught by the same campaigns", () => {
    const page = readFileSync(new URL("../../docs/fault-model.md", import.meta.url), "utf8");
    expect(tableOf(page)).toEqual(mutants.map(({ name, campaign }) => ({ name, campaign })));
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });
});

describe("a mutant that refactoring has left behind is an error, and not silently no mutant any more", () => {
  const of = (text: string) => ({ name: "m", edits: [edit("writer/waiters", text, "")] });

  test("where its text is gone", () => {
    expect(() => mutatedSources(of("no such text"))).toThrow(MutantError);
    expect(() => mutatedSources(of("no such text"))).toThrow(
      /brought up to date.* is not there in writer\/waiters/,
    );
  });

  test("where its text is there more than once", () => {
    expect(() => mutatedSources(of("this.#waiters"))).toThrow(/is there \d+ times/);
  });
});
