import type { IoBackend } from "@stonewal/io";

export function payloadOf(lsn: number): Buffer;
export function shortRun(
  io: IoBackend,
  directory: string,
  onAcknowledged: (lsn: number) => void,
): Promise<void>;
/** Resolves to the last LSN that is there. */
export function checkLog(io: IoBackend, directory: string, acknowledged: number): Promise<number>;
