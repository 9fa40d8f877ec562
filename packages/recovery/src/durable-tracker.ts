import type { FrameHeader } from "@stonewal/record";
import type { DurablePoint } from "./model.js";

/**
 * Follows, over frames seen in order, up to which of them the log itself says that it is durable: the highest
 * watermark that any of them, or the anchor, states; and what the preambles of later segments say.
 */
export class DurableTracker {
  #watermark = 0;
  #point: DurablePoint;
  #lastLsn = Number.MAX_SAFE_INTEGER;
  /** Frames seen that no watermark covers yet; bounded, as the writer bounds how far it builds ahead. */
  #pending: { readonly frameNumber: number; readonly nextLsn: number }[] = [];

  constructor(start: DurablePoint) {
    this.#point = start;
  }

  get watermark(): number {
    return this.#watermark;
  }

  get point(): DurablePoint {
    const { frameNumber, lsn } = this.#point;
    return { frameNumber, lsn: Math.min(lsn, this.#lastLsn) };
  }

  /** What lies behind `lsn` is known to have been cut away. */
  bound(lsn: number): void {
    this.#lastLsn = lsn;
  }

  add(header: FrameHeader): void {
    this.#pending.push({ frameNumber: header.frameNumber, nextLsn: header.nextLsn });
    this.raise(Math.max(this.#watermark, header.watermark));
  }

  /** Every frame with a number below `watermark` is durable. */
  raise(watermark: number): void {
    this.#watermark = Math.max(this.#watermark, watermark);
    let count = 0;
    while (count < this.#pending.length && this.#pending[count]!.frameNumber < this.#watermark) count++;
    if (count === 0) return;
    const { frameNumber, nextLsn } = this.#pending[count - 1]!;
    this.#point = { frameNumber, lsn: nextLsn - 1 };
    this.#pending.splice(0, count);
  }

  /** A later segment states that everything up to `start` is durable, and that nothing is behind it but what is in that segment. */
  reset(start: DurablePoint): void {
    this.#point = start;
    this.#pending = [];
  }
}
