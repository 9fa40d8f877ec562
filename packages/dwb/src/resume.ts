import type { DwbGeometry } from "./geometry.js";
import type { Scan } from "./scan.js";

/**
 * The first ring sequence number to give out in a file that was used before. A number above the greatest one found may have been given
 * out, too, for a slot that never reached the disk or was torn: that one is gone for good, and its number free. But a slot that is unreadable
 * now may be readable later, and were its number given out again, parts of two images could be taken for one. At most two turns of the
 * ring were ever given out beyond a slot that still stands; so numbers go on behind that, at the same place in the ring.
 */
export function nextRingSequence(scan: Scan, geometry: DwbGeometry): number {
  const last = scan.slots.at(-1)?.ringSequence ?? 0;
  return last + 1 + (scan.unreadableSlots.length > 0 ? 2 * geometry.slots : 0);
}
