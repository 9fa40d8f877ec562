import type { LogRecord } from '@stonewal/record';
import type { IoBackend } from '@stonewal/io';
import type {
  InspectReport,
  LogLocation,
  LogPlace,
  LogView,
  OpenReaderOptions,
  ReadOptions,
  RecoverOptions,
  RecoveredLog,
  RecoveryReport,
  ReplayOptions,
  SalvagedRecord,
  SalvageReport,
  VerifyReport,
} from './model.js';

export { type ErrorDetails, RecoveryError, type RecoveryErrorCode } from './errors.js';
export type * from './model.js';

export declare function recoverLog(options: RecoverOptions): Promise<RecoveredLog | undefined>;
export declare function planRecovery(options: RecoverOptions): Promise<RecoveryReport | undefined>;
export declare function verifyLog(options: LogLocation): Promise<VerifyReport>;
export declare function inspectLog(options: LogLocation): Promise<InspectReport>;
export declare function openReader(options: OpenReaderOptions): Promise<LogReader>;

export interface LogReader extends LogView {
  /** The damage behind the last record that can be read; only with `damaged: 'prefix'`. */
  damage(): import('./errors.js').RecoveryError | undefined;
  firstLsn(): number;
  lastLsn(): number;
  replay(options?: ReplayOptions): AsyncIterableIterator<LogRecord>;
  replayBatches(options?: ReplayOptions): AsyncIterableIterator<LogRecord[]>;
  follow(options?: ReadOptions): AsyncIterableIterator<LogRecord>;
  /** Looks for what a writer has added since; `follow` does by itself. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

export declare function replay(
  io: IoBackend,
  view: LogView,
  options?: ReplayOptions,
): AsyncIterableIterator<LogRecord>;
/** The same, a frame's or chunk's records at a time: one promise per batch. */
export declare function replayBatches(
  io: IoBackend,
  view: LogView,
  options?: ReplayOptions,
): AsyncIterableIterator<LogRecord[]>;
export declare function follow(
  io: IoBackend,
  view: LogView,
  options?: ReadOptions,
): AsyncIterableIterator<LogRecord>;
export declare function locate(io: IoBackend, view: LogView, lsn: number): Promise<LogPlace>;

export interface Salvage extends AsyncIterable<SalvagedRecord> {
  /** Complete once the iteration has ended. */
  report(): SalvageReport;
}
export declare function salvage(options: LogLocation): Salvage;
