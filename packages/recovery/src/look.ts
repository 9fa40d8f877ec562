import { LOCK_NAME } from "@stonewal/record";
import { readAnchor } from "./copies.js";
import { listLog } from "./directory.js";
import { type Examination, examine } from "./examine.js";
import { missingLog } from "./missing-log.js";
import type { LogLocation, Tip } from "./model.js";

/** What looking at a log without the right to change it has come to. */
export interface Sight {
  readonly found: Examination;
  /** A writer was at work: only what the log itself says is durable may be believed. */
  readonly live: boolean;
}

export interface LookOptions extends LogLocation {
  readonly direct?: boolean | undefined;
  readonly structureOnly?: boolean | undefined;
  readonly atLeast?: Tip | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Beside a writer a look may catch a frame half written, or files on the move: how often to look again before judging. */
const LOOKS = 6;
const PAUSE_MS = 25;
/** A busy writer may be caught at another place each time: what is damaged stays where it is. */
const LOOKS_AT_A_MOVING_PLACE = 200;

/**
 * Examines a log beside whoever else has it open. Without a writer everything is synced first, and so everything valid is
 * durable; beside one nothing is. Rejects with `WAL_NOT_FOUND` where there is no log.
 */
export async function look(options: LookOptions): Promise<Sight> {
  const { io, directory } = options;
  const lockPath = `${directory}/${LOCK_NAME}`;
  let reached = -1;
  let looksThere = 0;
  let wrongBefore: string | undefined;
  for (let looks = 1; ; looks++) {
    options.signal?.throwIfAborted();
    const live = await io.isLocked(lockPath);
    const found = await examine({ ...options, live });
    const last = looks >= LOOKS;
    // A writer that came while we looked may have written what nobody has synced; and what seems to be wrong, or left behind, may be what one
    // did that has gone again.
    if (!live && !last && ((await io.isLocked(lockPath)) || (await hasMoved(found)))) {
      found?.keys.destroy();
      continue;
    }
    // One that was killed meanwhile may have left nothing else that tells: what is damaged still is when looked at again.
    const wrong = found?.problems[0]?.message;
    if (!live && !last && wrong !== undefined && wrong !== wrongBefore) {
      wrongBefore = wrong;
      found?.keys.destroy();
      continue;
    }
    if (found === undefined) {
      if (!live || last) throw missingLog(directory);
    } else if (!live || (found.problems.length === 0 && (last || found.repairable.length === 0))) {
      return { found, live };
    } else {
      const { frameNumber } = found.position;
      looksThere = frameNumber === reached ? looksThere + 1 : 1;
      reached = frameNumber;
      if (looksThere >= LOOKS || looks >= LOOKS_AT_A_MOVING_PLACE) return { found, live };
    }
    found?.keys.destroy();
    await new Promise<void>((resolve) => {
      io.clock.after(PAUSE_MS, resolve, true);
    });
  }
}

/** Whether a writer has opened and closed the log since it was examined. */
async function hasMoved(found: Examination | undefined): Promise<boolean> {
  if (found === undefined) return false;
  const { io, access, directory, listing, anchorFile } = found;
  const names = (await listLog(io, directory))?.segments.map(({ name }) => name);
  const { anchor } = await readAnchor({ ...access, settle: false }, anchorFile.path);
  const then = listing.segments.map(({ name }) => name);
  return names?.join() !== then.join() || anchor?.generation !== anchorFile.anchor?.generation;
}
