import type { IoBackend } from "@stonewal/io";
import { expect, test } from "vitest";
import { openLog } from "../src/index.js";
import { checkOptions, type WalOptions } from "../src/options.js";

const base = { io: {} as IoBackend, directory: "log" };

function codeOf(options: Partial<WalOptions>): { code: unknown; message: string } {
  try {
    checkOptions({ ...base, ...options });
  } catch (error) {
    return error as { code: unknown; message: string };
  }
  return { code: undefined, message: "" };
}

test.each<[string, Partial<WalOptions>]>([
  ["directory", { directory: "" }],
  ["segmentBytes", { segmentBytes: 4096 }],
  ["segmentBytes", { segmentBytes: Number.NaN }],
  ["blockBytes", { blockBytes: 5000 }],
  ["blockBytes", { blockBytes: 512 }],
  ["frameBytes", { frameBytes: 1 }],
  ["bufferBytes", { bufferBytes: 1 }],
  ["startLsn", { startLsn: 0 }],
  ["startLsn", { startLsn: 1.5 }],
  ["idleMs", { idleMs: -1 }],
  ["dwb.mode", { dwb: "on" as "off" }],
  ["dwb.slots", { dwb: { slots: 0 } }],
  ["dwb.onFailure", { dwb: { onFailure: "ignore" as "fail" } }],
  ["dwb.path", { dwb: { path: "" } }],
  // What isn't written in TypeScript, or comes out of a configuration file.
  ["encyption", { encyption: { keys: {} } } as Partial<WalOptions>],
  ["dwb.slot", { dwb: { slot: 8 } } as Partial<WalOptions>],
  ["encryption.route", { encryption: { keys: { load() {} }, route: "readable" } } as never],
  ["compression.levle", { compression: { algorithm: "deflate-raw", levle: 9 } as never }],
  ["create", { create: Object.create(null) as never }],
  ["dwb must be", { dwb: false as never }],
  ["dwb must be", { dwb: null as never }],
  ["create", { create: "no" as never }],
  ["direct", { direct: "no" as never }],
  ["allowRemote", { allowRemote: 1 as never }],
])("an option that is wrong is refused before anything is opened: %s", (name, options) => {
  const refused = codeOf(options);
  expect(refused.code).toBe("WAL_ARGUMENT");
  expect(refused.message).toContain(name);
});

test.each<[unknown, RegExp]>([
  [5, /^atLeast must be a tip .*, not 5$/],
  [null, /^atLeast must be a tip .*, not null$/],
  ["5:ab", /^atLeast must be a tip .*, not "5:ab"$/],
  [{}, /^atLeast\.lsn must be .*, not undefined$/],
  [{ lsn: 5n }, /^atLeast\.lsn must be .*, not 5n$/],
  [{ lsn: -1 }, /^atLeast\.lsn must be .*, not -1$/],
  [JSON.parse(JSON.stringify({ lsn: 5, tag: new Uint8Array(16) })), /^atLeast\.tag must be a Uint8Array /],
  [{ lsn: 5, tag: "00".repeat(16) }, /^atLeast\.tag must be a Uint8Array /],
  [{ lsn: 5, tag: new Uint8Array(15) }, /^atLeast\.tag must be a Uint8Array of 16 bytes/],
])("atLeast that is no tip is refused with what it must be: %o", (atLeast, says) => {
  const refused = codeOf({ atLeast: atLeast as NonNullable<WalOptions["atLeast"]> });
  expect(refused.code).toBe("WAL_ARGUMENT");
  expect(refused.message).toMatch(says);
});

test("sizes are rounded up to whole blocks of any block size", () => {
  expect(checkOptions({ ...base, segmentBytes: 300_000 }).segmentBytes).toBe(327_680);
  expect(checkOptions({ ...base, frameBytes: 70_000 }).frameBytes).toBe(131_072);
});

test("an option that is there and undefined is one that isn't there, whatever its name", () => {
  expect(checkOptions({ ...base, dwb: undefined, later: undefined } as never).dwb.slots).toBe(64);
});

test.each([[undefined], [null], ["log"]])(
  "openLog without options, with %s, is refused with a code",
  async (options) => {
    await expect(openLog(options as unknown as WalOptions)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
  },
);
