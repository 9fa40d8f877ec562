// For the other threads and processes of the conformance kit: every chain goes to a thread of its ring's own.
import { openBackend } from "../../dist/backend.js";
import { faultAddon, faultCounts, setLanes } from "./fault-addon.mjs";

export function laneUring() {
  setLanes(true);
  let submitted = false;
  const addon = {
    ...faultAddon,
    submit(...chain) {
      submitted = true;
      return faultAddon.submit(...chain);
    },
  };
  // Whoever expects another code hears of it.
  process.on("exit", () => {
    if (submitted && faultCounts().inLanes === 0) process.exitCode = 99;
  });
  return openBackend(addon, {});
}
