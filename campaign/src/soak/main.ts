// `npm run test:soak`, once everything is set up: campaigns on all cores, for as long as asked.
import { availableParallelism } from "node:os";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { Command, InvalidArgumentError, Option } from "commander";
import { mutations } from "../broken-backends.js";
import { CAMPAIGNS, type CampaignName } from "../campaigns.js";
import { SCENARIOS } from "../scenarios.js";
import { Tally } from "../tally.js";
import type { Task, TaskResult } from "./task.js";
import { work } from "./workers.js";

const MAX_FAILURES = 5;
const BOUNDS = { exhaustive: 256, sample: 32 };

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("a number above 0 is needed.");
}

const names = Object.keys(CAMPAIGNS) as CampaignName[];
const options = new Command("npm run test:soak --")
  .description("Random histories of every campaign, and every crash of short ones, on all cores.")
  .option("--minutes <n>", "for how long; default: 10, or until --seeds are done", positive)
  .option(
    "--seeds <n>",
    "how many seeds, each in every campaign; default: as many as there is time for",
    positive,
  )
  .option("--from <seed>", "the first seed", positive, 1)
  .addOption(new Option("--campaign <name>", "only this one").choices(names))
  .option("--no-exhaustive", "without the short histories of which every crash is tried")
  .option("--workers <n>", "processes; default: one for each core", positive, availableParallelism())
  .addOption(
    new Option("--broken <how>", "on a back end that is broken on purpose: to see a failure").choices(
      Object.keys(mutations),
    ),
  )
  .parse()
  .opts<{
    minutes?: number;
    seeds?: number;
    from: number;
    campaign?: CampaignName;
    exhaustive: boolean;
    workers: number;
    broken?: string;
  }>();

/** Short histories among random ones: whenever it is stopped, both have been tried. */
function* tasks(): Generator<Task> {
  const broken = options.broken === undefined ? {} : { broken: options.broken };
  const end = options.from + (options.seeds ?? Number.POSITIVE_INFINITY);
  let scenario = 0;
  for (let seed = options.from; seed < end; seed += 1) {
    for (const campaign of options.campaign === undefined ? names : [options.campaign])
      yield { kind: "history", campaign, seed, ...broken };
    if (!options.exhaustive || scenario >= SCENARIOS.length) continue;
    yield { kind: "scenario", index: scenario, bounds: BOUNDS, ...broken };
    scenario += 1;
  }
  for (; options.exhaustive && scenario < SCENARIOS.length; scenario += 1)
    yield { kind: "scenario", index: scenario, bounds: BOUNDS, ...broken };
}

const minutes = options.minutes ?? (options.seeds === undefined ? 10 : undefined);
const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000;
const started = performance.now();
const seconds = () => Math.floor((performance.now() - started) / 1000);

let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    interrupted = true;
  });

const perSeed = options.campaign === undefined ? names.length : 1;
const total =
  minutes === undefined
    ? (options.seeds as number) * perSeed + (options.exhaustive ? SCENARIOS.length : 0)
    : Math.ceil(minutes * 60);
const unit = minutes === undefined ? "" : " s";
const bar = new SingleBar({
  format: `{bar} {percentage}%  {value}/{total}${unit}  {done} done, {failures} failed`,
  barCompleteChar: "█",
  barIncompleteChar: "░",
  hideCursor: true,
  fps: 5,
});
if (process.stdout.isTTY) bar.start(total, 0, { done: 0, failures: 0 });

const tally = new Tally();
const failures: string[] = [];
let done = 0;
let lastSeed = options.from;
const onResult = (task: Task, { counts, failure }: TaskResult) => {
  done += 1;
  if (task.kind === "history") lastSeed = Math.max(lastSeed, task.seed);
  tally.addAll(counts);
  if (failure !== undefined) failures.push(failure);
  if (process.stdout.isTTY)
    bar.update(Math.min(total, minutes === undefined ? done : seconds()), {
      done,
      failures: failures.length,
    });
};
const stopped = () => interrupted || performance.now() > deadline || failures.length >= MAX_FAILURES;
await work(options.workers, tasks(), stopped, onResult);
bar.stop();

const table = new Table({
  head: ["injected and survived", "times"],
  colAligns: ["left", "right"],
  style: { head: [], border: [], compact: true },
});
for (const [what, times] of Object.entries(tally.counts).sort(([a], [b]) => a.localeCompare(b)))
  if (times > 0) table.push([what, times.toLocaleString("en-US")]);
console.log(table.toString());
for (const failure of failures) console.error(`\n${failure}`);
console.log(
  `${done} done in ${seconds()} s on ${options.workers} processes, seeds ${options.from} to ${lastSeed}: ${
    failures.length === 0 ? "nothing was lost" : `${failures.length} failed`
  }`,
);
process.exitCode = failures.length > 0 ? 1 : interrupted ? 130 : 0;
