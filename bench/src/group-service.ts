import { Latencies } from "./latencies.js";
import { dueMs } from "./loads.js";

export interface Rate {
  readonly perSecond: number;
  /** As a load has it. */
  readonly tickMs: number;
}

export interface Service {
  /** Of every arrival that the trips could carry, from the moment it was due. */
  readonly latencies: Latencies;
  /** From the first arrival to the end of the last trip. */
  readonly milliseconds: number;
}

/**
 * What arrivals at a fixed rate would wait for, were there nothing but trips that take so long: one at a time, each carries all who
 * came while the one before was under way. No group commit that makes one of these trips at a time is quicker.
 */
export function serveInGroups(tripsMs: Float64Array, { perSecond, tickMs }: Rate): Service {
  const due = (arrival: number) => dueMs(arrival, perSecond, tickMs);
  const latencies = new Latencies();
  let now = 0;
  let served = 0;
  for (const tripMs of tripsMs) {
    now = Math.max(now, due(served));
    let came = served;
    while (due(came) <= now) came += 1;
    now += tripMs;
    for (; served < came; served += 1) latencies.add(now - due(served));
  }
  return { latencies, milliseconds: now };
}
