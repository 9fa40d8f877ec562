// What the fuzz tests of several packages share.
import fc from "fast-check";

/**
 * How a fuzz test runs, for `fc.assert`. In `npm test` it takes `runs` cases and a seed of chance, which a failure prints;
 * `STONEWAL_SEED=n` takes that one again. `STONEWAL_FUZZ=n` takes n times as many cases, for a soak.
 */
export function fuzzing(runs) {
  const { STONEWAL_SEED: seed, STONEWAL_FUZZ: times = "1" } = process.env;
  return {
    seed: seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed),
    numRuns: Math.ceil(runs * Number(times)),
  };
}

/** Values at which a length, a count or an offset goes wrong, if one does. */
const EXTREMES = [
  0n,
  1n,
  2n,
  7n,
  8n,
  191n,
  4095n,
  4096n,
  4097n,
  65_536n,
  131_072n,
  1n << 30n,
  (1n << 31n) - 1n,
  1n << 31n,
  (1n << 32n) - 1n,
  1n << 32n,
  1n << 40n,
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 63n,
  (1n << 64n) - 1n,
];

const number = fc.nat(2 ** 31 - 1);
/** Mostly in a structure's own fields: at a multiple of 4 within 256 bytes of where one begins. */
const place = fc.oneof(
  { weight: 4, arbitrary: fc.record({ of: number, offset: fc.nat(63).map((word) => 4 * word) }) },
  { weight: 1, arbitrary: fc.record({ anywhere: number }) },
);

/** One thing that may have happened to some bytes. */
export const mutation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("set"),
      at: place,
      size: fc.constantFrom(1, 2, 4, 8),
      to: fc.constantFrom(...EXTREMES),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("add"),
      at: place,
      size: fc.constantFrom(4, 8),
      to: fc.constantFrom(-4096, -8, -1, 1, 8, 4096),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("flip"), at: place, bit: fc.nat(31) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("fill"), at: place, size: fc.nat(9000), to: fc.nat(255) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("copy block", "swap blocks"),
      from: place,
      at: place,
      blocks: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("splice"), from: place, at: place, size: fc.nat(500) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut"), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("extend"),
      size: fc.integer({ min: 1, max: 70_000 }),
      to: fc.nat(255),
    }),
  },
);

const BLOCK = 4096;

/** The bytes after that; `starts` are the offsets at which structures begin. Never changes what it is given. */
export function mutated(bytes, { kind, at, from, size, to, bit, blocks }, starts) {
  const resolve = (where, room = 1) => {
    const start = starts[where.of % starts.length] ?? 0;
    const offset = where.anywhere === undefined ? start + where.offset : where.anywhere;
    return bytes.length < room ? -1 : Math.min(offset, Number.MAX_SAFE_INTEGER) % (bytes.length - room + 1);
  };
  if (kind === "extend") {
    const longer = new Uint8Array(bytes.length + size).fill(to);
    longer.set(bytes);
    return longer;
  }
  // Not by slice: a Buffer's is no copy, and a Buffer may not be filled beyond its end.
  if (kind === "cut") return new Uint8Array(bytes.subarray(0, Math.max(0, resolve(at))));
  const changed = new Uint8Array(bytes);
  const view = new DataView(changed.buffer);
  if (kind === "set" || kind === "add") {
    const offset = resolve(at, size);
    if (offset < 0) return changed;
    let value = kind === "set" ? to : BigInt(to);
    if (kind === "add")
      value += size === 4 ? BigInt(view.getUint32(offset, true)) : view.getBigUint64(offset, true);
    for (let i = 0; i < size; i += 1)
      changed[offset + i] = Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 255n);
  } else if (kind === "flip") {
    const offset = resolve(at, 4);
    if (offset >= 0) view.setUint32(offset, view.getUint32(offset, true) ^ (1 << bit), true);
  } else if (kind === "fill") {
    const offset = resolve(at);
    if (offset >= 0) changed.fill(to, offset, offset + size);
  } else if (kind === "splice") {
    const [source, target] = [resolve(from), resolve(at)];
    if (source >= 0)
      changed.set(bytes.subarray(source, Math.min(source + size, source + bytes.length - target)), target);
  } else {
    const length = blocks * BLOCK;
    const [source, target] = [resolve(from, length), resolve(at, length)].map(
      (offset) => offset - (offset % BLOCK),
    );
    if (source < 0 || target < 0) return changed;
    changed.set(bytes.subarray(source, source + length), target);
    if (kind === "swap blocks") changed.set(bytes.subarray(target, target + length), source);
  }
  return changed;
}

/** Bytes of array buffers that came to be and were still there, or not yet collected, when `act` was done. */
export async function allocated(act) {
  const before = process.memoryUsage().arrayBuffers;
  await act();
  return process.memoryUsage().arrayBuffers - before;
}
