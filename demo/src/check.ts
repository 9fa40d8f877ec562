import { openReader } from "stonewal";
import { readRecords } from "./records.js";

export interface CheckRequest {
  readonly dir: string;
  readonly file: string;
  /** The last record of the file that was acknowledged, and the last one that was attempted. */
  readonly acknowledged: number;
  readonly attempted: number;
}

export interface Finding {
  /** Records that were read back and are the file's, from the first on. */
  readonly recovered: number;
  readonly recoveredBytes: number;
  /** How the log breaks its promise; absent if it keeps it. */
  readonly broken?: string | undefined;
}

/**
 * Reads the log through the read-only door and compares: it must hold the file's first *n* records and nothing else, byte for byte,
 * LSN by LSN, with acknowledged ≤ *n* ≤ attempted.
 */
export async function checkLog(request: CheckRequest): Promise<Finding> {
  const { dir, file, acknowledged, attempted } = request;
  let recovered = 0;
  let recoveredBytes = 0;
  const finding = (broken?: string): Finding => ({ recovered, recoveredBytes, broken });

  const expected = readRecords(file);
  let reader: Awaited<ReturnType<typeof openReader>>;
  try {
    reader = await openReader({ dir });
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    // Killed before its first commit, a log may not have come into being.
    if (error.code === "WAL_NOT_FOUND" && acknowledged === 0) return finding();
    return finding(`the log does not open: ${String(error.code)}: ${error.message}`);
  }
  try {
    for await (const { lsn, payload } of reader.replay()) {
      const wanted = recovered + 1;
      if (lsn !== wanted) return finding(`LSN ${lsn} where ${wanted} was due`);
      if (wanted > attempted)
        return finding(`record ${wanted} is there, but only ${attempted} were attempted`);
      const { value, done } = await expected.next();
      if (done) return finding(`record ${wanted} is there, but the file has only ${recovered}`);
      if (!value.equals(payload)) return finding(`record ${wanted} differs from the file`);
      recovered = wanted;
      recoveredBytes += payload.length;
    }
  } finally {
    await expected.return();
    await reader.close();
  }
  if (recovered < acknowledged) {
    return finding(
      `${acknowledged - recovered} acknowledged records are missing: ${acknowledged} acknowledged, ${recovered} recovered`,
    );
  }
  return finding();
}
