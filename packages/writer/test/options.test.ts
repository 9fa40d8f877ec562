import type { IoBackend } from "@stonewal/io";
import { expect, test } from "vitest";
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

test("sizes are rounded up to whole blocks of any block size", () => {
  expect(checkOptions({ ...base, segmentBytes: 300_000 }).segmentBytes).toBe(327_680);
  expect(checkOptions({ ...base, frameBytes: 70_000 }).frameBytes).toBe(131_072);
});

test("an option that is there and undefined is one that isn't there, whatever its name", () => {
  expect(checkOptions({ ...base, dwb: undefined, later: undefined } as never).dwb.slots).toBe(64);
});
