import { IoError } from "@stonewal/io";
import type { RandomStream } from "./random-stream.js";
import type { SimTime } from "./sim-clock.js";

/** What an operation yields where others may come in between: nothing, the condition under which it can go on, or the time. */
export type Boundary = undefined | (() => boolean) | { readonly due: number };
export type Operation<T> = Generator<Boundary, T, void>;

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** An operation under way. */
export interface Task<T> {
  readonly process: object;
  readonly operation: Operation<T>;
  readonly tell: (outcome: Outcome<T>) => void;
  boundary: Boundary;
  /** How it ended, once it has. */
  outcome: Outcome<T> | undefined;
}

/**
 * Runs operations one boundary at a time, each time one that the seed picks among those that can go on: so what is unordered in the interface is
 * unordered here, and the same for the same seed. The order is as deterministic as its user is: nothing but these
 * operations and promises may decide when the next one is submitted (no real timers, no real I/O).
 */
export class Scheduler {
  readonly #random: RandomStream;
  readonly #time: SimTime;
  readonly #afterBoundary: () => void;
  readonly #tasks = new Set<Task<unknown>>();
  #running = false;

  constructor(random: RandomStream, time: SimTime, afterBoundary: () => void) {
    this.#random = random;
    this.#time = time;
    this.#afterBoundary = afterBoundary;
  }

  run<T>(process: object, operation: Operation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.start(process, operation, (outcome) => {
        if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.value);
      });
    });
  }

  /** As `run`, and `tell` is called once, at the end. */
  start<T>(process: object, operation: Operation<T>, tell: (outcome: Outcome<T>) => void): Task<T> {
    const task: Task<T> = { process, operation, tell, boundary: undefined, outcome: undefined };
    this.#tasks.add(task as Task<unknown>);
    this.#wake();
    return task;
  }

  /** Runs boundaries, of this operation and of others as the seed picks, until it has ended. Returns and throws as it does. */
  finish<T>(task: Task<T>): T {
    while (task.outcome === undefined)
      if (!this.#turn()) throw new Error("none of the operations under way can go on");
    if ("error" in task.outcome) throw task.outcome.error;
    return task.outcome.value;
  }

  /** Whether an operation of a process has not finished. */
  isBusy(process: object): boolean {
    for (const task of this.#tasks) if (task.process === process) return true;
    return false;
  }

  /** Ends every operation where it is: none goes on, all reject. */
  abandon(process: object | undefined): void {
    for (const task of [...this.#tasks]) {
      if (process !== undefined && task.process !== process) continue;
      const error = new IoError("IO_CLOSED", "the simulated machine crashed", { errno: "EBADF" });
      this.#end(task, { error });
    }
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    // Not a microtask: whoever was just told something gets to submit what follows from it before the next pick.
    setImmediate(() => this.#tick());
  }

  #tick(): void {
    this.#running = false;
    if (this.#turn() && this.#tasks.size > 0) this.#wake();
  }

  /** One boundary of one operation; false where none can go on. */
  #turn(): boolean {
    let ready = this.#ready();
    if (ready.length === 0 && this.#skipAhead()) ready = this.#ready();
    const task = ready[this.#random.below(Math.max(1, ready.length))];
    if (task !== undefined) this.#step(task);
    return task !== undefined;
  }

  #ready(): Task<unknown>[] {
    const { elapsed } = this.#time;
    return [...this.#tasks].filter(({ boundary }) => {
      if (boundary === undefined) return true;
      return typeof boundary === "function" ? boundary() : boundary.due <= elapsed;
    });
  }

  /** Nothing can go on but what waits for its time: that time comes, with the timers before it. */
  #skipAhead(): boolean {
    let due = Number.POSITIVE_INFINITY;
    for (const { boundary } of this.#tasks)
      if (typeof boundary === "object") due = Math.min(due, boundary.due);
    if (due === Number.POSITIVE_INFINITY) return false;
    this.#time.advanceTo(due);
    return true;
  }

  #step(task: Task<unknown>): void {
    let outcome: Outcome<unknown>;
    try {
      const result = task.operation.next();
      if (result.done !== true) {
        task.boundary = result.value;
        this.#afterBoundary();
        return;
      }
      outcome = { value: result.value };
    } catch (error) {
      outcome = { error };
    }
    // The crash may come here: what was done is done, and nobody was told.
    this.#afterBoundary();
    this.#end(task, outcome);
  }

  #end(task: Task<unknown>, outcome: Outcome<unknown>): void {
    if (!this.#tasks.delete(task)) return;
    task.outcome = outcome;
    task.tell(outcome);
  }
}
