import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

/**
 * The memory of every key that is derived while `work` runs: of 32 bytes, what else is derived is no secret. Whether it was overwritten can be
 * seen in nothing that a log shows.
 */
export async function derivedKeys(work: () => Promise<void>): Promise<Uint8Array[]> {
  const derived: Uint8Array[] = [];
  const { hkdfSync } = crypto;
  crypto.hkdfSync = (...args: Parameters<typeof hkdfSync>) => {
    const key = hkdfSync(...args);
    if (key.byteLength === 32) derived.push(new Uint8Array(key));
    return key;
  };
  // Modules that have imported it by name see it too.
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    crypto.hkdfSync = hkdfSync;
    syncBuiltinESMExports();
  }
  return derived;
}
