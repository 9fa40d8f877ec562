import { release } from "node:os";

const [major = 0, minor = 0] = release().split(".").map(Number);

/** Why a ring has no threads of its own here. */
export const noLanes =
  major > 5 || (major === 5 && minor >= 18)
    ? undefined
    : `Linux ${release()} takes no messages between rings (5.18 does)`;
