import { expect } from "vitest";

// Vitest compares typed arrays element by element, as if each could be anything: a second for a few MiB. What is the same byte for
// byte needs no such look; all else is left to Vitest, which says how it differs.
expect.addEqualityTesters([
  (a: unknown, b: unknown) => {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.constructor !== b.constructor)
      return undefined;
    return Buffer.compare(a, b) === 0 || undefined;
  },
]);
