import { createHistogram } from "node:perf_hooks";
import type { Opened, Written } from "./messages.js";

/** What is measured over all lives of the appending child. */
export class Totals {
  readonly latency = createHistogram();
  kills = 0;
  killsWhileOpening = 0;
  /** Records that recovery brought back although nobody had been told that they are durable. */
  recoveredUnacknowledged = 0;
  restoredFrames = 0;
  tornTails = 0;
  /** From the log being open to the child's end, in milliseconds. */
  appendingMs = 0;
  segmentBytes = 0;
  dwbBytes = 0;
  preparedBytes = 0;
  /** Bytes of the records acknowledged. */
  opened: Opened | undefined;

  reopened(opened: Opened, acknowledged: number): void {
    this.opened = opened;
    this.recoveredUnacknowledged += opened.recovered - acknowledged;
    this.restoredFrames += opened.restoredFrames;
    if (opened.tornBytes > 0) this.tornTails += 1;
  }

  wrote(written: Written): void {
    this.segmentBytes += written.segmentBytes;
    this.dwbBytes += written.dwbBytes;
    this.preparedBytes += written.preparedBytes;
  }
}
