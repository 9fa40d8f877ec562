// The addon with faults, and the back ends that use it. vitest.config.ts has it built.
import { createRequire } from "node:module";
import { openBackend } from "../../dist/backend.js";

export const faultAddon = createRequire(import.meta.url)("../../build/faults/io-uring.node");

/** As `uring()`, but what the rules say goes wrong. */
export function faultyUring(options = {}) {
  return openBackend(faultAddon, options);
}

/** Rules are for the whole process; native/faults.h says what they look like. */
export function setFaults(rules) {
  faultAddon.setFaults(rules);
}

/** Whether every chain goes to a thread of its ring's own, as on a JavaScript thread that never rests. For the whole process. */
export function setLanes(always) {
  faultAddon.setLanes(always);
}

export function faultCounts() {
  const [applied, overlappedSyncs, inLanes] = faultAddon.faultCounts();
  return { applied, overlappedSyncs, inLanes };
}
