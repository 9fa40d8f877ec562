import type { Clock, Timer } from "../backend.js";
import { argumentError } from "./failure.js";

/** setTimeout fires at once when given more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms: number, callback: () => void, keepAlive = false): Timer {
    if (!(ms >= 0 && ms <= MAX_DELAY_MS)) {
      throw argumentError(`a timer of ${ms} ms: 0 to 2^31 - 1 are expected`);
    }
    const timer = setTimeout(callback, ms);
    if (!keepAlive) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
