import { MessageChannel } from "node:worker_threads";
import { type Wal, WalError } from "@stonewal/writer";
import { type LinkOptions, type LogLink, makeMemory } from "./link.js";
import { OwnerLink } from "./owner-link.js";

/**
 * Lends a log to other threads. The thread that opened the log goes on owning it, and using it as it likes; each worker gets a link
 * of its own.
 */
export class SharedLog {
  readonly #wal: Wal;
  readonly #links = new Set<OwnerLink>();
  #closing: Promise<void> | undefined;

  constructor(wal: Wal) {
    this.#wal = wal;
  }

  /** Threads attached, or not attached yet, whose end has not been seen, or whose last records are not durable yet. */
  get links(): number {
    return this.#links.size;
  }

  /**
   * A link for one worker: send it there with its `port` in the transfer list. It ends when the worker closes it or ends itself, however that
   * comes about. `WAL_ARGUMENT` for options out of range, `WAL_CLOSED` after `close`.
   */
  link(options: LinkOptions = {}): LogLink {
    if (this.#closing !== undefined) throw new WalError("WAL_CLOSED", "the shared log is closed");
    const shape = makeMemory(options);
    const { port1, port2 } = new MessageChannel();
    const link = new OwnerLink(this.#wal, { ...shape, port: port1 }, () => this.#links.delete(link));
    this.#links.add(link);
    return { ...shape, port: port2, maxPayloadBytes: this.#wal.maxPayloadBytes };
  }

  /**
   * Ends all links. Resolves when what workers had put into them by then is durable and they have been told, or the log has failed; what
   * they commit later is rejected with `WAL_CLOSED`. The log itself stays open. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#links].map((link) => link.close())).then(() => undefined);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
