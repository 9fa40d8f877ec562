import { Latencies } from "./latencies.js";

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
export function serveInGroups(tripsMs: Float64Array, perSecond: number): Service {
  const betweenMs = 1000 / perSecond;
  const latencies = new Latencies();
  let now = 0;
  let served = 0;
  for (const tripMs of tripsMs) {
    now = Math.max(now, served * betweenMs);
    const came = Math.max(served, Math.floor(now / betweenMs)) + 1;
    now += tripMs;
    for (; served < came; served += 1) latencies.add(now - served * betweenMs);
  }
  return { latencies, milliseconds: now };
}
