// The shared memory of one link. One thread writes records (the worker), one reads them (the owner of the log), and what each
// of them writes lies in words of its own:
//
//   control words (Int32)            each in a cache line of its own, so that the two threads don't pull at one line
//   settlements (Float64)            a ring of `pendingLimit`: the first LSN of each request, or NaN for one that was refused
//   records                          a ring of `ringBytes`, in units of 8 bytes
//
// A request is one record or one atomic batch. Its bytes become visible by one store of TAIL, behind them: a worker that dies in
// the middle of writing has written nothing.

const CACHE_LINE_WORDS = 32;

/** Unit of the ring where the next request begins. Stored by the worker. */
export const TAIL = 0;
/** Unit of the ring up to which requests have been taken. Stored by the owner. */
export const HEAD = CACHE_LINE_WORDS;
/** How many requests have been settled, modulo 2^32. Stored by the owner. */
export const SETTLED = 2 * CACHE_LINE_WORDS;
/** 1: the owner wants a message when there is something in the ring. */
export const OWNER_SLEEPS = 3 * CACHE_LINE_WORDS;
/** 1: the worker wants a message when something has been settled. */
export const WORKER_SLEEPS = 4 * CACHE_LINE_WORDS;

/** 1: a thread has attached itself. Stored by it, once and for all: two of them would write over each other's requests. */
export const ATTACHED = 5 * CACHE_LINE_WORDS;

export const CONTROL_BYTES = 6 * CACHE_LINE_WORDS * 4;

export const UNIT_BYTES = 8;

/** Before each payload: payload bytes u32, type u32, shard u32, records of the batch that follow u32, tenant u64, database u64. */
export const RECORD_ENTRY_BYTES = 32;

/** In the place of a payload's length: what follows is at the ring's beginning. */
export const WRAP = 0xffff_ffff;

export function entryBytes(payloadBytes: number): number {
  return Math.ceil((RECORD_ENTRY_BYTES + payloadBytes) / UNIT_BYTES) * UNIT_BYTES;
}
