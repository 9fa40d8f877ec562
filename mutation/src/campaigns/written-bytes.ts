import { strict as assert } from "node:assert";
import type { IoBackend, Step } from "@stonewal/io";
import {
  decodeAnchor,
  decodePreamble,
  type FrameHeader,
  paddedFrameBytes,
  readFrameHeader,
} from "@stonewal/record";
import type { CipherUses } from "./cipher-uses.js";

/** Stands in every payload. Nothing that has it may reach a disk. */
export const MARKER = Buffer.from("not for the eyes of thieves");
/** Enough to know it by, where a block ends in the middle. */
const TRACE = MARKER.subarray(0, 12);

const BLOCK = 4096;

/** Looks at every byte that an encrypted log asks its back end to write, whichever file it is for, before it is written. */
export class WrittenBytes {
  readonly #ciphers: CipherUses;
  /** Frames that were written with another key than the current one, in the clear, or larger than they need be. */
  readonly violations: string[] = [];
  /** Incarnations of earlier openings, whose frames recovery may write again. */
  readonly #earlier = new Set<string>();
  readonly #seen = new Set<string>();
  #keyId = 0;
  #above = 0;
  #highest = 0;

  constructor(ciphers: CipherUses) {
    this.#ciphers = ciphers;
  }

  /** What is sealed from now on has this key: the log is about to be opened with it, or has just gone over to it. */
  expect(keyId: number, { opening }: { readonly opening: boolean }): void {
    this.#keyId = keyId;
    this.#above = opening ? 0 : this.#highest;
    if (!opening) return;
    this.#highest = 0;
    for (const incarnation of this.#seen) this.#earlier.add(incarnation);
  }

  /** Nothing can be said about the key of what is written next. */
  expectAnyKey(): void {
    this.#keyId = 0;
  }

  watch(io: IoBackend): IoBackend {
    const see = (chain: readonly Step[]): void => {
      for (const step of chain) {
        if (step.kind !== "write") continue;
        const { arena, start, length } = step.region;
        this.#see(arena.bytes.subarray(start, start + length));
      }
    };
    const { now } = io;
    return new Proxy(io, {
      get(target, property) {
        if (property === "submit") {
          return (chain: readonly Step[]) => {
            see(chain);
            return target.submit(chain);
          };
        }
        if (property === "now" && now !== undefined) {
          return {
            submit: (chain: readonly Step[]) => {
              see(chain);
              now.submit(chain);
            },
            finish: (submitted: Promise<void>) => now.finish(submitted),
          };
        }
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  }

  #see(region: Uint8Array): void {
    const bytes = Buffer.from(region.buffer, region.byteOffset, region.length);
    if (bytes.includes(TRACE)) this.violations.push("a payload is written in the clear");
    for (const at of places(bytes, "SWFRAME1")) {
      const header = readFrameHeader(bytes, at);
      if (header !== undefined) this.#seeFrame(header);
    }
    for (const copy of [0, 1] as const) {
      for (const at of places(bytes, "SWSEGMT1"))
        this.#seeTag(decodePreamble(bytes, at, copy)?.encryption?.tag);
      for (const at of places(bytes, "SWANCHR1"))
        this.#seeTag(decodeAnchor(bytes, at, copy)?.encryption?.tag);
    }
  }

  #seeFrame({ packed, incarnation, frameNumber, length }: FrameHeader): void {
    if (packed?.encrypted !== true) {
      this.violations.push(`frame ${frameNumber} is written in the clear`);
      return;
    }
    this.#seeTag(packed.tag);
    const blocks = (bytes: number) => paddedFrameBytes(bytes, BLOCK);
    if (
      packed.compression !== undefined &&
      blocks(length) >= blocks(length - packed.storedBytes + packed.plainBytes)
    )
      this.violations.push(`frame ${frameNumber} is compressed, and takes no less for it`);
    const writer = Buffer.from(incarnation).toString("hex");
    this.#seen.add(writer);
    if (this.#earlier.has(writer)) return;
    if (this.#keyId > 0 && frameNumber > this.#above && packed.keyId !== this.#keyId)
      this.violations.push(
        `frame ${frameNumber} is written with key ${packed.keyId}, and ${this.#keyId} is the current one`,
      );
    this.#highest = Math.max(this.#highest, frameNumber);
  }

  #seeTag(tag: Uint8Array | undefined): void {
    if (tag === undefined) return;
    // Else what this looks at and what is encrypted are not the same, and it would find nothing whatever happened.
    assert.ok(this.#ciphers.hasMade(tag), "something is written that was encrypted unseen");
  }
}

function* places(bytes: Buffer, magic: string): Generator<number> {
  for (let at = bytes.indexOf(magic); at !== -1; at = bytes.indexOf(magic, at + 1)) yield at;
}
