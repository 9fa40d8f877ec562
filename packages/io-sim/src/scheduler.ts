import { IoError } from "@stonewal/io";
import type { RandomStream } from "./random-stream.js";
import type { SimTime } from "./sim-clock.js";

/** What an operation yields where others may come in between: nothing, the condition under which it can go on, or the time. */
export type Boundary = undefined | (() => boolean) | { readonly due: number };
export type Operation<T> = Generator<Boundary, T, void>;

interface Task {
  readonly process: object;
  readonly operation: Operation<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  boundary: Boundary;
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
  readonly #tasks = new Set<Task>();
  #running = false;

  constructor(random: RandomStream, time: SimTime, afterBoundary: () => void) {
    this.#random = random;
    this.#time = time;
    this.#afterBoundary = afterBoundary;
  }

  run<T>(process: object, operation: Operation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#tasks.add({
        process,
        operation,
        resolve: resolve as (value: unknown) => void,
        reject,
        boundary: undefined,
      });
      this.#wake();
    });
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
      this.#tasks.delete(task);
      task.reject(new IoError("IO_CLOSED", "the simulated machine crashed", { errno: "EBADF" }));
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
    let ready = this.#ready();
    if (ready.length === 0 && this.#skipAhead()) ready = this.#ready();
    const task = ready[this.#random.below(Math.max(1, ready.length))];
    if (task === undefined) return;
    this.#step(task);
    if (this.#tasks.size > 0) this.#wake();
  }

  #ready(): Task[] {
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

  #step(task: Task): void {
    let tell: () => void;
    try {
      const result = task.operation.next();
      if (result.done !== true) {
        task.boundary = result.value;
        this.#afterBoundary();
        return;
      }
      tell = () => task.resolve(result.value);
    } catch (error) {
      tell = () => task.reject(error);
    }
    // The crash may come here: what was done is done, and nobody was told.
    this.#afterBoundary();
    if (this.#tasks.delete(task)) tell();
  }
}
