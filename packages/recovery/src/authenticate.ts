import type { AnchorFile } from "./copies.js";
import { RecoveryError } from "./errors.js";
import type { SegmentKeys } from "./segment-keys.js";
import type { Problem, Walk } from "./walk.js";

/**
 * Whether the segments of a walk and the anchor were written by someone who has the keys. Keys are loaded on the way. The run
 * is cut short before the first segment that wasn't.
 *
 * Rejects with `WAL_KEY_MISSING`, `WAL_KEY_WRONG`, `WAL_NOT_ENCRYPTED`: the call is wrong then, not the log.
 */
export async function authenticate(walk: Walk, anchorFile: AnchorFile, keys: SegmentKeys): Promise<Walk> {
  requireEncrypted(walk, keys);
  const problems: Problem[] = [];
  let sound = walk.run.length;
  for (const [i, { file, preamble }] of walk.run.entries()) {
    const before = walk.run[i - 1]?.preamble;
    const details = { file: file.path, offset: 0, sequence: file.sequence, firstLsn: preamble.firstLsn };
    if (before?.encryption !== undefined && preamble.encryption === undefined) {
      const message = `${file.name} is not encrypted, and the segment before it is`;
      problems.push({ code: "WAL_TAMPERED", message, details });
    } else {
      const tampered = await judged(keys.unpackerFor(file.path, preamble));
      if (tampered !== undefined) {
        problems.push({ ...tampered, details: { ...details, keyId: preamble.encryption?.keyId } });
      }
    }
    if (problems.length === 0) continue;
    sound = i;
    break;
  }
  const ofAnchor = await anchorProblem(walk, anchorFile, keys);
  if (ofAnchor !== undefined) problems.push(ofAnchor);
  return { ...walk, run: walk.run.slice(0, sound), problems: [...walk.problems, ...problems] };
}

/** An encrypted anchor alone is not enough: whoever put the segments there may have left it. */
function requireEncrypted({ run }: Walk, { encryption }: SegmentKeys): void {
  if (encryption === undefined || encryption.unencrypted === "accept") return;
  const file = run[0]?.file.path;
  if (file === undefined || run.some(({ preamble }) => preamble.encryption !== undefined)) return;
  throw new RecoveryError("WAL_NOT_ENCRYPTED", `keys were given, and ${file} is not encrypted`, { file });
}

async function anchorProblem(
  { run }: Walk,
  { anchor, path }: AnchorFile,
  keys: SegmentKeys,
): Promise<Problem | undefined> {
  if (anchor === undefined) return undefined;
  const details = { file: path, offset: 0 };
  const first = run.find(({ preamble }) => preamble.encryption !== undefined);
  if (anchor.encryption !== undefined) {
    const tampered = await judged(keys.authenticateAnchor(path, anchor));
    return tampered && { ...tampered, details: { ...details, keyId: anchor.encryption.keyId } };
  }
  // Written since there were encrypted segments, it would be encrypted too.
  if (first === undefined || anchor.sequence < first.file.sequence) return undefined;
  const message = `${path}: it is not authenticated, and the log is encrypted`;
  return { code: "WAL_TAMPERED", message, details };
}

async function judged(passing: Promise<unknown>): Promise<Pick<Problem, "code" | "message"> | undefined> {
  try {
    await passing;
    return undefined;
  } catch (error) {
    if (!(error instanceof RecoveryError && error.code === "WAL_TAMPERED")) throw error;
    return { code: error.code, message: error.message };
  }
}
