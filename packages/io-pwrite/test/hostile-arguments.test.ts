import { test } from "vitest";
import { callWithHostileArguments } from "../../io/test/support/hostile-arguments.mjs";

// TypeScript checks what users hand in. This is what is behind it, if that has a gap: a mistake must not read or write memory that is
// not an arena's, and must not be done in part.
test(
  "whatever the addon's functions are called with: an error and nothing done, or an answer, never a crash",
  {
    timeout: 3_600_000,
  },
  () => callWithHostileArguments("io-pwrite", "io-uring", 400),
);
