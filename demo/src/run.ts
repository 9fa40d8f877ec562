import { APPENDER } from "./appender-process.js";
import type { Finding } from "./check.js";
import { runChecker } from "./checker-process.js";
import type { Kill } from "./kills.js";
import { Ledger } from "./ledger.js";
import { live } from "./life.js";
import type { FileSize } from "./records.js";
import type { AppenderSettings } from "./settings.js";
import { Totals } from "./totals.js";

export interface RunOptions {
  readonly settings: AppenderSettings;
  readonly size: FileSize;
  readonly kills: readonly Kill[];
  readonly signal: AbortSignal;
  onAcknowledged(acknowledged: number): void;
  /** Called when the log of a killed child has been checked. */
  onChecked(check: Checked): void;
  /** The child's program. Default: the one that keeps its word. */
  readonly program?: string;
}

export interface Checked {
  readonly kill: number;
  readonly during: "appending" | "opening";
  readonly acknowledged: number;
  readonly attempted: number;
  readonly finding: Finding;
}

export interface RunResult {
  readonly size: FileSize;
  /** Acknowledgements received. */
  readonly acknowledged: number;
  /** Records in the log at the end. */
  readonly recovered: number;
  readonly totals: Totals;
  /** What went wrong; absent if everything acknowledged was there, always, and the whole file is in the end. */
  readonly broken?: string | undefined;
}

/** Appends the file through one child after another, each but the last killed, and checks the log after each. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { settings, size, signal } = options;
  const { dir, file } = settings;
  const ledger = new Ledger();
  const totals = new Totals();
  const plan = [...options.kills];
  let openingMs = 0;
  let finding: Finding = { recovered: 0, recoveredBytes: 0 };
  const result = (broken?: string): RunResult => ({
    size,
    acknowledged: ledger.acknowledgements,
    recovered: finding.recovered,
    totals,
    broken,
  });

  for (;;) {
    const kill = plan.shift();
    const end = await live({
      program: options.program ?? APPENDER,
      settings,
      kill,
      openingMs,
      expected: finding.recovered,
      ledger,
      totals,
      signal,
      onAcknowledged: options.onAcknowledged,
    });
    openingMs = end.openingMs;
    const { acknowledged, attempted } = ledger;
    finding = await runChecker({ dir, file, acknowledged, attempted });
    if (end.how === "killed" && kill !== undefined) {
      options.onChecked({ kill: totals.kills, during: kill.during, acknowledged, attempted, finding });
    }
    if (finding.broken !== undefined) return result(finding.broken);
    if (end.how === "failed") return result(end.reason);
    if (end.how === "finished") return result(compareWhole(finding, size));
  }
}

function compareWhole(finding: Finding, size: FileSize): string | undefined {
  if (finding.recovered === size.records && finding.recoveredBytes === size.bytes) return undefined;
  return `the log ends with ${finding.recoveredBytes} of the file's ${size.bytes} bytes`;
}
