import { describe, expect, test } from "vitest";
import { exhaust, mutations, SCENARIOS } from "../src/index.js";

const BOUNDS = { exhaustive: 32, sample: 4 };
const MINUTES = 60_000;
/** The soak has the others. */
const SCENARIOS_HERE = SCENARIOS.filter(
  ({ name }) => !name.includes("buffered, DWB") && !name.includes("direct, DWB, encrypted"),
);

describe("every state that a power cut may leave, at every boundary, keeps what was acknowledged, and opens:", () => {
  test.each(SCENARIOS_HERE)("$name", { timeout: 10 * MINUTES }, async (scenario) => {
    const { points, states, sampled } = await exhaust(scenario, BOUNDS);
    expect(points).toBeGreaterThan(5);
    expect(states).toBeGreaterThan(1);
    // Only where a whole segment, or several frames at once, are in flight.
    expect(sampled.length).toBeLessThan(points / 2);
  });
});

test.each([
  ["the log's sync is left out", "a commit (torn blocks; buffered, no DWB)"],
  ["the preamble's sync is left out", "a roll (torn blocks; direct, DWB)"],
  ["directories are not synced", "a roll (torn blocks; direct, DWB)"],
  ["the anchor's sync is left out", "a checkpoint (torn blocks; direct, DWB)"],
  ["the preamble's sync is left out", "a change of the key (torn blocks; buffered, no DWB, encrypted)"],
  ["directories are not synced", "a change of the key (torn blocks; buffered, no DWB, encrypted)"],
])("and it is noticed when %s", { timeout: 10 * MINUTES }, async (broken, story) => {
  const [scenario] = SCENARIOS.filter(({ name }) => name === story);
  await expect(exhaust(scenario as (typeof SCENARIOS)[number], BOUNDS, mutations[broken])).rejects.toThrow(
    /power cut at/,
  );
});
