import { hkdfSync } from "node:crypto";
import type { IoBackend, Step } from "@stonewal/io";
import { type Anchor, decodeAnchor, decodePreamble, type Preamble, readFrameHeader } from "@stonewal/record";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Every byte that a back end is asked to write, before it does. */
export function watched(io: IoBackend, see: (bytes: Uint8Array) => void): IoBackend {
  const seeChain = (chain: readonly Step[]): void => {
    for (const step of chain) {
      if (step.kind !== "write") continue;
      const { arena, start, length } = step.region;
      see(arena.bytes.subarray(start, start + length));
    }
  };
  const { now } = io;
  return new Proxy(io, {
    get(target, property) {
      if (property === "submit") {
        return (chain: readonly Step[]) => {
          seeChain(chain);
          return target.submit(chain);
        };
      }
      if (property === "now" && now !== undefined) {
        return {
          submit: (chain: readonly Step[]) => {
            seeChain(chain);
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

/**
 * Finds, in what is written, everything that was encrypted or authenticated, wherever it lies, and keeps account of derived keys and
 * nonces. The derivation is spelt out here again, so that a mistake in the log's own can't hide.
 */
export class NonceLedger {
  readonly #master: (keyId: number) => Uint8Array;
  /** What each (derived key, nonce) was used for: the tag stands for it. */
  readonly #used = new Map<string, string>();
  /** Tags of frames with records, by log and first LSN. */
  readonly #frames = new Map<string, Set<string>>();
  readonly #keys = new Set<string>();
  readonly violations: string[] = [];

  constructor(master: (keyId: number) => Uint8Array) {
    this.#master = master;
  }

  get pairs(): number {
    return this.#used.size;
  }

  get derivedKeys(): number {
    return this.#keys.size;
  }

  /** How many LSNs began more than one frame: the same number, given to other records. */
  get reassigned(): number {
    return [...this.#frames.values()].filter((tags) => tags.size > 1).length;
  }

  see(bytes: Uint8Array): void {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = all.indexOf("SWFRAME1"); at !== -1; at = all.indexOf("SWFRAME1", at + 1)) {
      const header = readFrameHeader(bytes, at);
      if (header?.packed?.encrypted !== true) continue;
      const { packed, logId, incarnation, frameNumber, firstLsn } = header;
      this.#use("frame", packed.keyId, logId, incarnation, frameNumber, packed.tag);
      if (header.recordCount === 0) continue;
      const tags = this.#frames.get(`${hex(logId)} ${firstLsn}`) ?? new Set();
      tags.add(hex(packed.tag));
      this.#frames.set(`${hex(logId)} ${firstLsn}`, tags);
    }
    const copies = <T>(magic: string, decode: (at: number, copy: 0 | 1) => T | undefined): T[] => {
      const found: T[] = [];
      for (let at = all.indexOf(magic); at !== -1; at = all.indexOf(magic, at + 1)) {
        for (const copy of [0, 1] as const) {
          const value = decode(at, copy);
          if (value !== undefined) found.push(value);
        }
      }
      return found;
    };
    for (const preamble of copies<Preamble>("SWSEGMT1", (at, copy) => decodePreamble(bytes, at, copy))) {
      const { encryption, logId, incarnation, sequence } = preamble;
      if (encryption !== undefined)
        this.#use("preamble", encryption.keyId, logId, incarnation, sequence, encryption.tag);
    }
    for (const anchor of copies<Anchor>("SWANCHR1", (at, copy) => decodeAnchor(bytes, at, copy))) {
      const { encryption, logId, generation } = anchor;
      if (encryption !== undefined)
        this.#use("anchor", encryption.keyId, logId, encryption.incarnation, generation, encryption.tag);
    }
  }

  #use(
    purpose: string,
    keyId: number,
    logId: Uint8Array,
    incarnation: Uint8Array,
    nonce: number,
    tag: Uint8Array,
  ): void {
    const id = Buffer.alloc(4);
    id.writeUInt32LE(keyId);
    const info = Buffer.concat([Buffer.from(`stonewal/1 ${purpose}\0`), logId, id]);
    const key = hex(new Uint8Array(hkdfSync("sha256", this.#master(keyId), incarnation, info, 32)));
    this.#keys.add(key);
    const pair = `${key} ${nonce}`;
    const before = this.#used.get(pair);
    if (before === undefined) this.#used.set(pair, hex(tag));
    else if (before !== hex(tag)) this.violations.push(`${purpose} ${nonce} of ${hex(incarnation)}`);
  }
}
