import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { AppenderProcess } from "./appender-process.js";
import type { Kill } from "./kills.js";
import type { Ledger } from "./ledger.js";
import type { Message, Opened, Written } from "./messages.js";
import type { AppenderSettings } from "./settings.js";
import type { Totals } from "./totals.js";

export interface LifeOptions {
  readonly program: string;
  readonly settings: AppenderSettings;
  /** When it is to end; absent: with its work done. */
  readonly kill: Kill | undefined;
  /** How long the last opening took, in milliseconds: the measure of a kill in the middle of one. */
  readonly openingMs: number;
  /** Records that the check before found in the log. */
  readonly expected: number;
  readonly ledger: Ledger;
  readonly totals: Totals;
  readonly signal: AbortSignal;
  onAcknowledged(acknowledged: number): void;
}

export interface LifeEnd {
  readonly how: "killed" | "finished" | "failed";
  readonly openingMs: number;
  /** Why it failed. */
  readonly reason?: string;
}

/** One life of the appending child, from its start to its kill, or to the end of its work. */
export async function live(options: LifeOptions): Promise<LifeEnd> {
  const { kill, ledger, totals, expected } = options;
  let { openingMs } = options;
  let openingAt = 0;
  let openedAt: number | undefined;
  let written: Written | undefined;
  let finished = false;
  let killing = false;

  const opened = (message: Opened): void => {
    openedAt = performance.now();
    openingMs = openedAt - openingAt;
    if (message.recovered !== expected) {
      throw new Error(
        `read-only, the log held ${expected} records; opened for writing it holds ${message.recovered}`,
      );
    }
    totals.reopened(message, ledger.acknowledged);
    ledger.reopened(message.recovered);
  };
  const killIn = async (ms: number): Promise<void> => {
    killing = true;
    await sleep(ms);
    child.kill();
  };
  const onMessage = (message: Message): void => {
    switch (message.kind) {
      case "opening":
        openingAt = performance.now();
        if (kill?.during === "opening") void killIn(kill.part * openingMs);
        break;
      case "opened":
        opened(message);
        break;
      case "attempt":
        ledger.attempt(message.record);
        break;
      case "acknowledged":
        ledger.acknowledge(message.record);
        totals.latency.record(message.microseconds);
        if (kill?.during === "appending" && !killing && ledger.acknowledged >= kill.acknowledged) {
          void killIn(kill.delayMs);
        }
        options.onAcknowledged(ledger.acknowledged);
        break;
      case "written":
        written = message;
        break;
      case "finished":
        finished = true;
    }
  };

  const child = new AppenderProcess(options.program, options.settings, onMessage);
  const interrupt = () => child.kill();
  options.signal.addEventListener("abort", interrupt, { once: true });
  try {
    const { code, signal } = await child.ended;
    if (openedAt !== undefined) totals.appendingMs += performance.now() - openedAt;
    if (written !== undefined) totals.wrote(written);
    options.signal.throwIfAborted();
    if (finished && code === 0) return { how: "finished", openingMs };
    if (killing && signal === "SIGKILL") {
      totals.kills += 1;
      if (openedAt === undefined) totals.killsWhileOpening += 1;
      return { how: "killed", openingMs };
    }
    return {
      how: "failed",
      openingMs,
      reason: `the appending process ended with ${signal ?? `exit ${code}`}`,
    };
  } catch (error) {
    options.signal.throwIfAborted();
    return { how: "failed", openingMs, reason: (error as Error).message };
  } finally {
    options.signal.removeEventListener("abort", interrupt);
  }
}
