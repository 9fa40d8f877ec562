import { MultiBar, type SingleBar } from "cli-progress";
import pc from "picocolors";
import type { Checked } from "./run.js";

/** What a person sees while it runs. */
export interface Progress {
  acknowledged(acknowledged: number): void;
  checked(check: Checked): void;
  done(): void;
}

/** A bar with the kills above it on a terminal; only the kills, a line each, anywhere else. */
export function showProgress(name: string, records: number): Progress {
  return process.stdout.isTTY ? bar(name, records) : lines();
}

function bar(name: string, records: number): Progress {
  const bars = new MultiBar({
    format: `${name} {bar} {percentage}%  {value}/{total} acknowledged`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    fps: 20,
  });
  const single: SingleBar = bars.create(records, 0);
  return {
    acknowledged: (acknowledged) => single.update(acknowledged),
    checked: (check) => bars.log(`${describe(check)}\n`),
    done: () => bars.stop(),
  };
}

function lines(): Progress {
  return {
    acknowledged: () => undefined,
    checked: (check) => console.log(describe(check)),
    done: () => undefined,
  };
}

function describe({ kill, during, acknowledged, attempted, finding }: Checked): string {
  const count = (value: number) => value.toLocaleString("en-US");
  const where = during === "opening" ? "while opening the log" : "while appending";
  const state =
    finding.broken === undefined
      ? `${count(finding.recovered)} recovered ${pc.green("ok")}`
      : pc.red(finding.broken);
  return `kill ${String(kill).padStart(2)} ${where}: ${count(acknowledged)} acknowledged, ${count(attempted)} attempted, ${state}`;
}
