import type { SimDisk } from "@stonewal/io-sim";

/** Lets everything that needs no simulated time go on, and the disk pass one boundary. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const IDLE_TURNS = 30;
const STEP_MS = 5;
/** So long nothing happens only where nothing ever will: ten seconds of simulated time. */
const HANGS_AFTER = 2000;
const MAX_TURNS = 3_000_000;

/** A dead process is given so many turns to be told of its calls: after them nothing of it will ever run again. */
const TURNS_OF_THE_DEAD = 40;

export interface Watch {
  /** Called between any two boundaries of the disk. */
  readonly eachTurn?: () => void;
  /** The program's process has ended, by a crash or a kill: it may wait for what never comes. */
  readonly isDead?: () => boolean;
}

/**
 * Runs a program on a simulated machine: time passes while nothing else can go on, and a program that waits for what never comes is an
 * error. Resolves to `undefined` where the program's process has ended and it has not.
 */
export async function runOn<T>(
  disk: SimDisk,
  program: Promise<T>,
  watch: Watch = {},
): Promise<T | undefined> {
  const { eachTurn = () => {}, isDead = () => false } = watch;
  let ended = false;
  const end = () => {
    ended = true;
  };
  program.then(end, end);
  const watching = async (): Promise<undefined> => {
    let [idleTurns, idleSteps, seen] = [0, 0, disk.operations];
    for (let turns = 0; ; turns += 1) {
      await turn();
      // The program's outcome is known, and ends the race.
      if (ended) return new Promise<never>(() => {});
      eachTurn();
      if (disk.operations !== seen) {
        [idleTurns, idleSteps, seen] = [0, 0, disk.operations];
      } else if (++idleTurns % IDLE_TURNS === 0) {
        disk.advance(STEP_MS);
        idleSteps += 1;
      }
      if (isDead() && idleTurns > TURNS_OF_THE_DEAD) return undefined;
      if (idleSteps > HANGS_AFTER || turns > MAX_TURNS)
        throw new Error("the log hangs: a call never settles");
    }
  };
  return Promise.race([program, watching()]);
}
