import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { LogLink } from "@stonewal/threads";
import type { Wal } from "@stonewal/writer";
import { onTestFinished } from "vitest";

const PROGRAM = fileURLToPath(new URL("./committer.mjs", import.meta.url));

export interface CommitterOptions {
  readonly count: number;
  readonly inFlight?: number;
  readonly batch?: number;
  /** Payloads are up to this many bytes longer than their number. */
  readonly pad?: number;
}

/** A worker that commits `count` numbered records. */
export class Committer {
  readonly worker: Worker;
  readonly number: number;
  readonly outcome: Promise<{ done?: true; code?: string; name?: string; message?: string } | undefined>;
  readonly #lsns: Int32Array;

  constructor(number: number, link: LogLink, options: CommitterOptions) {
    const ledger = new SharedArrayBuffer(4 * options.count);
    this.number = number;
    this.#lsns = new Int32Array(ledger);
    this.worker = new Worker(PROGRAM, {
      workerData: { link, worker: number, ledger, ...options },
      transferList: [link.port],
    });
    this.outcome = Promise.race([
      once(this.worker, "message").then(([message]) => message),
      once(this.worker, "exit").then(() => undefined),
    ]);
  }

  /** Resolves when it has been told of its first record. */
  async begun(): Promise<void> {
    while (Atomics.load(this.#lsns, 0) === 0) await sleep(5);
  }

  /** LSN of each record that it was told is durable, by its number. */
  acknowledged(): Map<number, number> {
    const found = new Map<number, number>();
    for (let number = 0; number < this.#lsns.length; number += 1) {
      const lsn = Atomics.load(this.#lsns, number);
      if (lsn > 0) found.set(number, lsn);
    }
    return found;
  }
}

interface Found {
  readonly worker: number;
  readonly number: number;
}

/** Which record of which worker has which LSN. */
export async function read(wal: Wal): Promise<Map<number, Found>> {
  const found = new Map<number, Found>();
  for await (const { lsn, payload } of wal.read()) {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    found.set(lsn, { worker: view.getUint32(0), number: view.getUint32(4) });
  }
  return found;
}

export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "stonewal-threads-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
