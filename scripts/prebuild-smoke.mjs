// Run by the target's Node.js, in an emulator where it has to be: `prebuild-smoke.mjs [--emulated]`. Loads both addons as their
// packages do, checks checksums, and writes and reads a log. The last line says what was done.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

const emulated = process.argv.includes("--emulated");
const target = `${process.platform}-${process.arch}`;
const packages = new URL("../packages/", import.meta.url);
const require = createRequire(import.meta.url);
const dist = (name) => import(new URL(`${name}/dist/index.js`, packages));
const addon = (name) => require(new URL(`${name}/prebuilds/${target}/${name}.node`, packages).pathname);

const { pwrite } = await dist("io-pwrite");
const { uring } = await dist("io-uring");
const { crc32c } = await dist("record");
const { openWal } = await dist("stonewal");

function checkChecksums(native) {
  // RFC 3720, B.4, and the usual check value.
  const vectors = [
    [Buffer.from("123456789"), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ];
  const long = Buffer.from(Array.from({ length: 50_001 }, (_, index) => (index * 31 + (index >> 7)) & 255));
  for (const [bytes, expected] of [...vectors, [long, crc32c(long)]]) {
    for (const checksum of [native.checksum, native.portableChecksum]) {
      const out = new Uint32Array(1);
      assert.equal(checksum(bytes, Uint32Array.of(0, bytes.length), 1, out), true);
      assert.equal(out[0], expected);
    }
  }
}

async function roundTrip(io) {
  const scratch = mkdtempSync(path.join(tmpdir(), "stonewal-smoke-"));
  const dir = path.join(scratch, "log");
  try {
    const wal = await openWal({ dir, io, segmentBytes: 1 << 20 });
    await wal.commit({ payload: Buffer.from("first") });
    await Promise.all(["second", "third"].map((text) => wal.commit({ payload: Buffer.from(text) })));
    await wal.close();
    const again = await openWal({ dir, io, segmentBytes: 1 << 20 });
    const found = [];
    for await (const { lsn, payload } of again.read()) found.push(`${lsn} ${Buffer.from(payload)}`);
    assert.deepEqual(found, ["1 first", "2 second", "3 third"]);
    assert.equal(again.recovery.closedCleanly, true);
    await again.close();
  } finally {
    await io.close();
    rmSync(scratch, { recursive: true });
  }
}

/** What io_uring did: a log, or the typed refusal that an emulator has to give. */
async function checkUring() {
  let io;
  try {
    io = uring();
  } catch (error) {
    assert.equal(error.code, "IO_UNSUPPORTED");
    // The refusal is to be the kernel's, not the loader's.
    assert.doesNotMatch(error.message, /prebuilds/);
    return `io_uring refused as IO_UNSUPPORTED: ${error.message}`;
  }
  assert.equal(emulated, false, "the emulator has io_uring after all: expect a log here");
  await roundTrip(io);
  return "io_uring wrote and read a log";
}

const native = addon("io-pwrite");
checkChecksums(native);
checkChecksums(addon("io-uring"));
await roundTrip(pwrite());
const uringDid = await checkUring();
const checksums = native.hardwareChecksum ? "the processor's CRC32C and the table's" : "the table's CRC32C";
console.log(`${target}, Node.js ${process.version}: ${checksums}; pwrite wrote and read a log; ${uringDid}`);
