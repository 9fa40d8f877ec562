// A program: calls the functions of an addon with arguments that no caller of ours would give, and ends with 0 if each call was an error
// or did what it says. A crash is the signal that ends it; the last case it printed is the one that did it.
//
//   node hostile-program.mjs ADDON OTHER_ADDON SEED CASES
//
// OTHER_ADDON gives handles of a stranger. The current directory is scratch, and should have a limit on the size of files.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parentPort } from "node:worker_threads";
import fc from "fast-check";

const require = createRequire(import.meta.url);
const [addonPath, otherPath, seed, cases] = process.argv.slice(2);
const addon = require(addonPath);
const other = require(otherPath);
const uring = addon.openRing !== undefined;

const SYNCHRONOUS = new Set([
  "checksum",
  "portableChecksum",
  "addressOf",
  "openRing",
  "end",
  "forget",
  "finish",
]);
const NUMBERS = [
  0,
  -0,
  1,
  2,
  3,
  -1,
  0.5,
  7,
  8,
  512,
  4095,
  4096,
  4097,
  8192,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  -(2 ** 31),
  -(2 ** 63),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MIN_VALUE,
];

/** Calls a function of an addon that answers by its last argument. */
function settled(call, ...args) {
  return new Promise((resolve, reject) => {
    call(...args, (errno, _operation, syscall, _step, _poisoned, value) =>
      errno === 0 ? resolve(value) : reject(new Error(`${syscall}: errno ${errno}`)),
    );
  });
}

function detached(bytes) {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** Two files, a lock and, where the addon has such things, rings: of this addon and of the other one. */
async function makeWorld() {
  rmSync("files", { recursive: true, force: true });
  mkdirSync("files");
  for (const name of ["a", "b", "c", "closed"]) writeFileSync(`files/${name}`, Buffer.alloc(16_384, name));
  const open = async (from, name, direct = false) =>
    (await settled(from.open, `files/${name}`, 1, direct))[0];
  const world = {
    file: await open(addon, "a"),
    direct: await open(addon, "b", true).catch(() => open(addon, "b")),
    closedFile: await open(addon, "closed"),
    otherFile: await open(other, "c"),
    lock: await settled(addon.lock, "files/lock"),
    releasedLock: await settled(addon.lock, "files/released"),
    otherLock: await settled(other.lock, "files/other-lock"),
    ring: addon.openRing?.(8)[0],
    endedRing: addon.openRing?.(8)[0],
    otherRing: other.openRing?.(8)[0],
  };
  await settled(addon.close, world.closedFile);
  await settled(addon.unlock, world.releasedLock);
  if (uring) addon.end(world.endedRing);
  return world;
}

async function endWorld(world) {
  for (const ring of [world.ring]) if (ring !== undefined) addon.end(ring);
  if (world.otherRing !== undefined) other.end(world.otherRing);
  for (const file of [world.file, world.direct]) await settled(addon.close, file);
  await settled(other.close, world.otherFile);
  await settled(addon.unlock, world.lock);
  await settled(other.unlock, world.otherLock);
}

/** What an argument may be, by name: values are made anew for each call. */
const MAKERS = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,
  bigint: () => 1n << 64n,
  symbol: () => Symbol("s"),
  object: () => ({}),
  date: () => new Date(0),
  proxy: () =>
    new Proxy(
      {},
      {
        get: () => {
          throw new Error("a trap");
        },
      },
    ),
  proxyOfArray: () => new Proxy([], {}),
  "valueOf throws": () => ({
    valueOf() {
      throw new Error("valueOf");
    },
  }),
  function: () => () => undefined,
  "port or external": () => parentPort ?? process.stdout._handle,
  "": () => "",
  "path of a file": () => "files/a",
  "path of nothing": () => "files/nothing",
  "new path": () => "files/new",
  "path of a directory": () => "files",
  "path with NUL": () => "files/new\0er",
  "long path": () => `files/${"x".repeat(5000)}`,
  "lone surrogate": () => "files/\ud800",
  "path of a lock": () => "files/lock",
  empty: () => new Uint8Array(0),
  block: () => new Uint8Array(4096),
  "large bytes": () => new Uint8Array(1 << 20),
  "odd view": () => new Uint8Array(new ArrayBuffer(20_000), 4093, 9000),
  "shared bytes": () => new Uint8Array(new SharedArrayBuffer(16_384)),
  "detached bytes": () => detached(new Uint8Array(8192)),
  dataView: () => new DataView(new ArrayBuffer(64)),
  arrayBuffer: () => new ArrayBuffer(4096),
  clamped: () => new Uint8ClampedArray(4096),
  int8: () => new Int8Array(4096),
  bigints: () => new BigUint64Array(16),
  ranges: () => Uint32Array.of(0, 8, 4, 100, 4000, 96, 0, 0),
  "wild ranges": () => Uint32Array.of(0, 0xffffffff, 0xffffffff, 1, 0xffffffff, 0xffffffff, 5000, 0),
  "detached ranges": () => detached(Uint32Array.of(0, 8)),
  results: () => new Uint32Array(4),
  "one result": () => new Uint32Array(1),
  file: (world) => world.file,
  direct: (world) => world.direct,
  closedFile: (world) => world.closedFile,
  otherFile: (world) => world.otherFile,
  lock: (world) => world.lock,
  releasedLock: (world) => world.releasedLock,
  otherLock: (world) => world.otherLock,
  ring: (world) => world.ring,
  endedRing: (world) => world.endedRing,
  otherRing: (world) => world.otherRing,
  "array of files": (world) => [world.file, world.direct, world.file],
  "array of nearly files": (world) => [world.file, world.lock, world.otherFile, world.ring],
  "array of closed files": (world) => [world.closedFile, world.closedFile, world.closedFile],
  "empty array": () => [],
  "array with holes": (world) => Object.assign(new Array(3), { 2: world.file }),
  "array of bytes": () => [new Uint8Array(8192), new Uint8Array(8192), new Uint8Array(8192)],
  "array of detached bytes": () => [detached(new Uint8Array(8192)), detached(new Uint8Array(8192))],
  "array whose getter detaches what came before": () => {
    const bytes = new Uint8Array(8192);
    return Object.defineProperty([bytes, bytes], 1, {
      get: () => (bytes.length > 0 ? detached(bytes) : bytes),
    });
  },
  "array whose getter throws": () =>
    Object.defineProperty([1, 2], 1, {
      get() {
        throw new Error("a getter");
      },
    }),
  steps: () => Float64Array.of(1, 0, 4096, 0, 3, 0, 4096, 4096, 0, 0, 0, 0),
  "steps with an untorn write": () => Float64Array.of(5, 0, 4096, 0, 7, 0, 4096, 4096, 0, 0, 0, 0),
  "detached steps": () => detached(Float64Array.of(1, 0, 4096, 0)),
};
for (const number of NUMBERS) MAKERS[Object.is(number, -0) ? "-0" : String(number)] = () => number;
const numberName = fc.constantFrom(
  ...NUMBERS.map((number) => (Object.is(number, -0) ? "-0" : String(number))),
);
const wildSteps = fc
  .array(fc.oneof(fc.constantFrom(...NUMBERS), fc.nat(8)), { minLength: 4, maxLength: 12 })
  .map((numbers) => ({ steps: numbers.map((number) => (Object.is(number, -0) ? 0 : number)) }));

/** The arguments of a call as it should be, without the completion function. */
const PROPER = {
  open: ["path of a file", "1", "false"],
  size: ["file"],
  truncate: ["file", "8192"],
  dropCache: ["file"],
  close: ["closedFile"],
  rename: ["path of a file", "new path"],
  syncDirectory: ["path of a directory"],
  lock: ["new path"],
  unlock: ["releasedLock"],
  isLocked: ["path of a lock"],
  probe: ["path of a directory"],
  fileSystem: ["path of a directory"],
  checksum: ["block", "ranges", "2", "results"],
  portableChecksum: ["block", "ranges", "2", "results"],
  addressOf: ["block"],
  openRing: ["8"],
  submit: ["array of files", "array of bytes", "steps", "3"],
  submitNow: ["array of files", "array of bytes", "steps", "3"],
  finish: ["1"],
  read: ["file", "block", "0", "4096", "0"],
  writeZeros: ["file", "0", "4096"],
  sync: ["file"],
  forget: ["file"],
};
if (uring) {
  for (const name of ["submit", "submitNow", "finish", "read", "writeZeros", "sync", "forget"])
    PROPER[name].unshift("ring");
  PROPER.end = ["endedRing"];
}
for (const name of Object.keys(PROPER)) if (addon[name] === undefined) delete PROPER[name];

const argument = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...Object.keys(MAKERS)) },
  { weight: 1, arbitrary: numberName },
  { weight: 1, arbitrary: wildSteps },
);
const nearly = fc
  .tuple(
    fc.constantFrom(...Object.keys(PROPER)),
    fc.array(fc.tuple(fc.nat(7), argument), { maxLength: 3 }),
    fc.integer({ min: -2, max: 1 }),
  )
  .map(([name, changes, longer]) => {
    const args = [...PROPER[name]];
    for (const [at, value] of changes) args[at % args.length] = value;
    if (longer > 0) args.push("undefined");
    return { name, args: longer < -1 ? args.slice(0, -1) : args };
  });
const anything = fc.record({
  name: fc.constantFrom(...Object.keys(PROPER)),
  args: fc.array(argument, { maxLength: 8 }),
});
const call = fc.record({
  what: fc.oneof({ weight: 4, arbitrary: nearly }, { weight: 1, arbitrary: anything }),
  completion: fc.constantFrom("function", "function", "function", "function", "none", "not a function"),
});

const make = (world, value) =>
  typeof value === "object" ? Float64Array.from(value.steps) : MAKERS[value](world);

async function callOnce({ what: { name, args }, completion }) {
  const world = await makeWorld();
  const values = args.map((value) => make(world, value));
  // These hold what the call would close or end: what comes behind would be a wait for nothing.
  const ends = name === "end" && values[0] === world.ring;
  let told = 0;
  let tell;
  const completed = new Promise((resolve) => {
    tell = resolve;
  });
  const done = (...answer) => {
    told += 1;
    tell(answer);
  };
  let refusal;
  let answer;
  const synchronous = SYNCHRONOUS.has(name);
  if (!synchronous && completion === "function") values.push(done);
  if (completion === "not a function") values.push({});
  if (!ends) {
    try {
      answer = addon[name](...values);
    } catch (error) {
      refusal = error;
    }
  }
  if (refusal !== undefined && !(refusal instanceof Error)) throw new Error(`threw ${String(refusal)}`);
  if (refusal === undefined && !synchronous && !ends) {
    if (values.at(-1) !== done) {
      if (typeof values.at(-1) !== "function") throw new Error("accepted without a completion function");
    } else {
      // The process would end, with an empty loop, if nothing were to come.
      const alarm = setTimeout(() => {
        console.log("never completed");
        process.exit(3);
      }, 20_000);
      const [errno, , , , , value] = await completed;
      clearTimeout(alarm);
      if (!Number.isInteger(errno)) throw new Error(`completed with errno ${errno}`);
      if (name === "lock" && errno === 0) await settled(addon.unlock, value);
      if (name === "open" && errno === 0) await settled(addon.close, value[0]);
    }
  }
  if (name === "openRing" && refusal === undefined && answer[0] !== undefined) addon.end(answer[0]);
  if (refusal !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  if (told > (refusal === undefined ? 1 : 0))
    throw new Error(`${refusal === undefined ? "completed" : "refused and completed"} ${told} times`);
  await endWorld(world);
}

process.on("exit", (code) => {
  if (code !== 0) console.log(`the run ended with ${code}`);
});
await fc.assert(
  fc.asyncProperty(call, async (one) => {
    console.log(JSON.stringify(one));
    await callOnce(one);
  }),
  { seed: Number(seed), numRuns: Number(cases), verbose: 1 },
);
