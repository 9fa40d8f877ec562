import {
  type Arena,
  type BlockingChains,
  FOLIO_BYTES,
  type IoBackend,
  type IoFile,
  type Region,
  type Step,
  type Timer,
} from "@stonewal/io";
import type { WholeFrame } from "./folio-frames.js";
import type { SealedFrame } from "./frame-assembler.js";
import type { Copy, Protection } from "./protection.js";
import type { Counters } from "./stats.js";

/** Up to where the log's own files hold everything. */
export interface HomePoint {
  readonly lsn: number;
  /** Number of the first frame that isn't at home. */
  readonly watermark: number;
}

export interface HomeWritesOptions {
  readonly io: IoBackend;
  readonly protection: Protection;
  readonly counters: Counters;
  /** The file of the active segment. */
  readonly file: () => IoFile;
  /** Bytes that wait before a chain is begun, however empty the ring is. */
  readonly chainBytes: number;
  /** The frame's memory is not needed any more. */
  readonly release: (frame: SealedFrame) => void;
  /** More is at home. */
  readonly onProgress: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * How long a frame waits for others to be written home with it, in milliseconds. Meanwhile its only durable copy is the one in the
 * DWB, and readers in other processes don't see it in the log.
 */
const DELAY_MS = 20;

/** Memory in which small frames are put side by side, so that many of them are one write. */
const GATHER_BYTES = 1024 * 1024;
/** A longer frame is written from where it is. */
const GATHER_UP_TO_BYTES = 64 * 1024;

/** What one chain writes home: frames that lie one behind the other in one segment. */
class Batch {
  readonly file: IoFile;
  readonly writes: { arena: Arena; start: number; length: number; offset: number }[] = [];
  readonly copies: Copy[] = [];
  /** Frames whose memory is in use until they are written. */
  readonly kept: SealedFrame[] = [];
  /** Frames that have not been looked at yet: gathered, or kept. */
  #pending: SealedFrame[] = [];
  frames = 0;
  bytes = 0;
  slots = 0;
  last: SealedFrame | undefined;
  #gather: Arena | undefined;
  #gathered = 0;

  constructor(file: IoFile) {
    this.file = file;
  }

  add(frame: SealedFrame, copy: Copy): void {
    this.#pending.push(frame);
    this.copies.push(copy);
    this.frames += 1;
    this.bytes += frame.paddedLength;
    this.slots += copy.ticket.slots;
    this.last = frame;
  }

  /**
   * Plans the writes of what was added, and copies small frames into `memory`, where there is any; answers those whose own memory is
   * free by that.
   */
  gatherFrames(memory: () => Arena | undefined): SealedFrame[] {
    const gathered: SealedFrame[] = [];
    for (const frame of this.#pending) {
      const { paddedLength, arena, offset } = frame;
      const fits = paddedLength <= GATHER_UP_TO_BYTES && this.#gathered + paddedLength <= GATHER_BYTES;
      if (fits) this.#gather ??= memory();
      if (fits && this.#gather !== undefined) {
        this.#put(frame, this.#gather);
        gathered.push(frame);
      } else {
        this.writes.push({ arena, start: 0, length: paddedLength, offset });
        this.kept.push(frame);
      }
    }
    this.#pending = [];
    return gathered;
  }

  #put({ arena, paddedLength, offset }: SealedFrame, memory: Arena): void {
    memory.bytes.set(arena.bytes.subarray(0, paddedLength), this.#gathered);
    const write = this.writes.at(-1);
    if (write?.arena === memory && write.offset + write.length === offset) write.length += paddedLength;
    else this.writes.push({ arena: memory, start: this.#gathered, length: paddedLength, offset });
    this.#gathered += paddedLength;
  }

  /** The memory it gathered frames in, if it did. */
  get gather(): Arena | undefined {
    return this.#gather;
  }
}

/** A batch on its way home. */
interface Flight {
  readonly batch: Batch;
  /** Its chain; `undefined` while `drainNow` blocks. */
  submitted: Promise<void> | undefined;
  /** Resolves when what became of it has been seen to. */
  over: Promise<void> | undefined;
}

/**
 * The frames that the DWB's own sync has acknowledged, on their way to their places in the log. They go in batches, one chain at a
 * time, beside the chains to the DWB: another file, so no two syncs of one overlap. A slot of the DWB is free again only when the
 * chain that writes its frame home has completed; until then it is the frame's only durable copy.
 *
 * And the copies of all that is at home, these frames or others, where what is written home next could take it.
 */
export class HomeWrites {
  readonly #options: HomeWritesOptions;
  #waiting: Batch | undefined;
  #inFlight: Flight | undefined;
  #point: HomePoint;
  /** Frames ever added, and those of them that are at home. */
  #added = 0;
  #done = 0;
  #timer: Timer | undefined;
  #stopped = false;
  #failure: { readonly error: unknown } | undefined;
  readonly #arenas: Arena[] = [];
  /** Copies of frames that are at home, in the folio that the next write home begins in. */
  #neighbours: readonly Copy[] = [];
  /** The file that they are of. */
  #written: IoFile | undefined;
  /** Frames at home in that folio that are to get copies. */
  #adopted: { readonly file: IoFile; readonly frames: readonly WholeFrame[] } | undefined;

  constructor(options: HomeWritesOptions, point: HomePoint) {
    this.#options = options;
    this.#point = point;
  }

  get point(): HomePoint {
    return this.#point;
  }

  /** How many frames have no durable copy but the one in the DWB. */
  get frames(): number {
    return this.#added - this.#done;
  }

  /** Everything is at home up to there, by other chains than these. */
  advance(point: HomePoint): void {
    this.#point = point;
  }

  /** Takes over a frame that is durable in the DWB, and its memory. */
  add(frame: SealedFrame, copy: Copy): void {
    this.#waiting ??= new Batch(this.#options.file());
    this.#waiting.add(frame, copy);
    this.#added += 1;
    this.#consider();
  }

  /**
   * Copies the small ones of the frames that wait, which gives their memory back: for when there is time, as while a chain is on its
   * way. Done by itself before they are written.
   */
  gather(): void {
    if (this.#waiting !== undefined) this.#gather(this.#waiting);
  }

  #gather(batch: Batch): void {
    for (const frame of batch.gatherFrames(() => this.#memory())) this.#options.release(frame);
  }

  /** Memory to gather frames in. Without it they are written from where they are, which takes none. */
  #memory(): Arena | undefined {
    try {
      return this.#arenas.pop() ?? this.#options.io.arena(GATHER_BYTES);
    } catch {
      return undefined;
    }
  }

  /** Begins a chain if it is worth one, or else soon. */
  #consider(): void {
    if (this.#waiting === undefined) return;
    if (this.#isDue(this.#waiting)) this.start();
    else if (this.#inFlight === undefined && !this.#stopped) {
      this.#timer ??= this.#options.io.clock.after(DELAY_MS, () => this.start());
    }
  }

  /**
   * Frames are at home, up to `end` of `file`. Gives back their copies, but for those that the next write home could take if it were torn: where the
   * kernel writes the file back by the folio, those of the last folio. They stay until it has been left behind.
   */
  arrived(file: IoFile, copies: readonly Copy[], end: number): void {
    if (file !== this.#written) this.releaseNeighbours();
    this.#written = file;
    const folio = end - (end % FOLIO_BYTES);
    const all = [...this.#neighbours, ...copies];
    this.#neighbours = file.direct ? [] : all.filter((copy) => copy.end > folio);
    this.#options.protection.release(all.slice(0, all.length - this.#neighbours.length));
  }

  /**
   * Gives back all of them, while nothing is on its way home: for a frame that has no room in the ring without, or a DWB that is given up. If a tear
   * takes one of them then, the copy of what was being written bears witness of it.
   */
  releaseNeighbours(): void {
    this.#options.protection.release(this.#neighbours);
    this.#neighbours = [];
  }

  /**
   * `frames` are at home in the folio that the next write home of `file` begins in, and nobody keeps copies of them: those of an earlier process. They get copies
   * with the next chain, and are neighbours from then on.
   */
  adopt(file: IoFile, frames: readonly WholeFrame[]): void {
    this.#adopted = { file, frames };
  }

  /**
   * Stages copies of what was adopted: to be called before a chain that goes home stages its own, of which `next` is the first. Where the ring has no room for all of them, or the
   * chain goes to another file, none is.
   */
  stageAdopted(next: SealedFrame): void {
    const { file, protection } = this.#options;
    const adopted = this.#adopted;
    this.#adopted = undefined;
    if (adopted === undefined || adopted.file !== file()) return;
    this.#written = adopted.file;
    this.#neighbours = protection.stageAtHome(adopted.frames, next);
  }

  /** Half of the ring goes home while the other half fills; of what the neighbours leave of it. */
  #isDue({ slots, bytes }: Batch): boolean {
    const kept = this.#neighbours.reduce((sum, { ticket }) => sum + ticket.slots, 0);
    return 2 * slots >= this.#options.protection.slots - kept || bytes >= this.#options.chainBytes;
  }

  /** Resolves when everything added before the call is at home. */
  async drained(): Promise<void> {
    const target = this.#added;
    while (this.#done < target) {
      if (this.#failure !== undefined) throw this.#failure.error;
      this.start();
      await this.#inFlight?.over;
    }
  }

  /** The same, blocking, and of what is added meanwhile too. */
  drainNow(now: BlockingChains): void {
    while (this.#done < this.#added) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const flight = this.#inFlight ?? this.#depart(this.#waiting as Batch);
      try {
        if (flight.submitted === undefined) now.submit(this.#stepsOf(flight.batch));
        else now.finish(flight.submitted);
      } catch (error) {
        this.#failed(flight, error);
        continue;
      }
      this.#landed(flight);
    }
  }

  /** Begins to write what waits. Does nothing while a chain is in flight. */
  start(): void {
    const batch = this.#waiting;
    if (this.#inFlight !== undefined || this.#failure !== undefined || batch === undefined) return;
    const flight = this.#depart(batch);
    flight.submitted = this.#options.io.submit(this.#stepsOf(batch));
    flight.over = flight.submitted.then(
      () => this.#landed(flight),
      (error: unknown) => this.#failed(flight, error),
    );
  }

  #depart(batch: Batch): Flight {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#gather(batch);
    const flight: Flight = { batch, submitted: undefined, over: undefined };
    this.#waiting = undefined;
    this.#inFlight = flight;
    return flight;
  }

  #failed(flight: Flight, error: unknown): void {
    // `drainNow` was told before.
    if (this.#inFlight !== flight) return;
    this.#failure = { error };
    this.#inFlight = undefined;
    this.#options.onFailure(error);
  }

  #landed(flight: Flight): void {
    if (this.#inFlight !== flight) return;
    const { counters, release, onProgress } = this.#options;
    const { batch } = flight;
    this.#inFlight = undefined;
    const { offset, paddedLength } = batch.last as SealedFrame;
    this.arrived(batch.file, batch.copies, offset + paddedLength);
    for (const frame of batch.kept) release(frame);
    if (batch.gather !== undefined) this.#arenas.push(batch.gather);
    const { lastLsn, frameNumber } = batch.last as SealedFrame;
    this.#point = { lsn: lastLsn, watermark: frameNumber + 1 };
    this.#done += batch.frames;
    counters.homeChains += 1;
    this.#consider();
    onProgress();
  }

  /** A single write carries its own sync. Several are synced together. */
  #stepsOf({ file, writes }: Batch): Step[] {
    const durable = writes.length === 1;
    const steps = writes.map(({ offset, ...region }): Step => {
      return { kind: "write", file, region: region satisfies Region, offset, durable };
    });
    return durable ? steps : [...steps, { kind: "sync", file }];
  }

  /** Nothing is begun unasked any more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
