import type { BackendName, DwbMode } from "stonewal";

/** How the child is to open the log; handed over as one JSON argument. */
export interface AppenderSettings {
  readonly file: string;
  readonly dir: string;
  /** How many commits wait for the disk at the same time. */
  readonly committers: number;
  readonly io: "auto" | BackendName;
  readonly direct?: boolean;
  readonly dwb?: DwbMode;
  readonly segmentBytes: number;
}
