// A process of its own for each core: what it is sent it does, and answers.
import { mutations } from "../broken-backends.js";
import { runHistory } from "../campaigns.js";
import { exhaust } from "../exhaustive.js";
import { HistoryFailure } from "../failure.js";
import { SCENARIOS } from "../scenarios.js";
import type { Task, TaskResult } from "./task.js";

async function perform(task: Task): Promise<TaskResult> {
  const wrap = task.broken === undefined ? undefined : mutations[task.broken];
  if (task.kind === "history") {
    const { counts } = await runHistory(task.campaign, task.seed, wrap === undefined ? {} : { wrap });
    return { counts: { ...counts, [`histories: ${task.campaign}`]: 1 } };
  }
  const scenario = SCENARIOS[task.index];
  if (scenario === undefined) throw new RangeError(`there is no scenario ${task.index}`);
  const { points, states, sampled } = await exhaust(scenario, task.bounds, wrap);
  return {
    counts: {
      "short histories of which every crash was tried": 1,
      "boundaries at which the power failed": points,
      "boundaries with more outcomes than were tried": sampled.length,
      "states of the disk tried": states,
    },
  };
}

async function failureOf(error: unknown): Promise<string> {
  if (error instanceof HistoryFailure) return error.report();
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

process.on("message", (task: Task) => {
  perform(task)
    .catch(async (error: unknown): Promise<TaskResult> => ({ counts: {}, failure: await failureOf(error) }))
    .then((result) => process.send?.(result))
    .catch((error: unknown) => {
      throw error;
    });
});
// Whoever asks is gone.
process.on("disconnect", () => process.exit());
