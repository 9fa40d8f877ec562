import type { Mutant } from "./mutant.js";
import { acknowledgingCopyMutants } from "./mutants/acknowledging-copies.js";
import { backEndMutants } from "./mutants/back-end.js";
import { checksumMutants } from "./mutants/checksums.js";
import { commitMutants } from "./mutants/commits.js";
import { compressionMutants } from "./mutants/compression.js";
import { doubleWriteMutants } from "./mutants/double-write.js";
import { encryptionMutants } from "./mutants/encryption.js";
import { recoveryMutants } from "./mutants/recovery.js";
import { segmentMutants } from "./mutants/segments.js";

/** Every deliberate fault, by what it breaks. */
export const mutants: readonly Mutant[] = [
  ...commitMutants,
  ...segmentMutants,
  ...doubleWriteMutants,
  ...acknowledgingCopyMutants,
  ...recoveryMutants,
  ...checksumMutants,
  ...encryptionMutants,
  ...compressionMutants,
  ...backEndMutants,
];
