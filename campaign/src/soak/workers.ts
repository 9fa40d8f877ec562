import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Task, TaskResult } from "./task.js";

const PROGRAM = fileURLToPath(new URL("./worker.js", import.meta.url));

/**
 * Has tasks done by `count` processes, one at a time each, until there are no more or `stopped` says so. Resolves when all are done.
 */
export async function work(
  count: number,
  tasks: Iterator<Task>,
  stopped: () => boolean,
  onResult: (task: Task, result: TaskResult) => void,
): Promise<void> {
  const serve = async () => {
    let child = fork(PROGRAM);
    for (;;) {
      const next = stopped() ? undefined : tasks.next();
      if (next === undefined || next.done === true) break;
      const task = next.value;
      const result = await ask(child, task);
      onResult(task, result);
      if (child.exitCode !== null || child.signalCode !== null) child = fork(PROGRAM);
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: count }, serve));
}

/** A process that ends under its task has not survived it. */
function ask(child: ChildProcess, task: Task): Promise<TaskResult> {
  return new Promise((resolve) => {
    const onExit = (code: number | null, signal: string | null) => {
      resolve({ counts: {}, failure: `the process ended (${signal ?? code}) under ${JSON.stringify(task)}` });
    };
    child.once("exit", onExit);
    child.once("message", (result: TaskResult) => {
      child.off("exit", onExit);
      resolve(result);
    });
    child.send(task);
  });
}
