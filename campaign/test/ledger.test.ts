import { describe, expect, test } from "vitest";
import { Ledger } from "../src/ledger.js";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** Five records, 4 and 5 of them one batch; three acknowledged. */
function written(): Ledger {
  const ledger = new Ledger();
  for (const value of [1, 2, 3]) ledger.handOver([bytes(value)]);
  ledger.handOver([bytes(4), bytes(5)]);
  ledger.given(6);
  ledger.acknowledge(3);
  return ledger;
}

const records = (from: number, to: number, change: (value: number) => number = (value) => value) =>
  Array.from({ length: to - from + 1 }, (_, index) => ({
    lsn: from + index,
    payload: bytes(change(from + index)),
  }));

describe("the ledger takes", () => {
  test.each([3, 5])("what was acknowledged, and no half batch: up to LSN %i", (last) => {
    written().settle(records(1, last), last + 1);
  });

  test("a checkpoint's gap, and a cut that was asked for", () => {
    const trimmed = written();
    trimmed.trimLsn = 2;
    trimmed.settle(records(3, 3), 4);
    const cut = written();
    cut.cutBegins(1);
    cut.settle(records(1, 1), 2);
  });
});

describe("a forged outcome is noticed:", () => {
  test.each([
    ["an acknowledged record is missing", records(1, 2), 3, /LSN 3 was acknowledged/],
    ["everything is missing", [], 1, /LSN 3 was acknowledged/],
    ["a record is there that nobody wrote", records(1, 6), 7, /LSN 6 was never attempted/],
    ["a payload is another one", records(1, 3, (value) => (value === 2 ? 9 : value)), 4, /payload of LSN 2/],
    ["there is a gap", records(1, 3).filter(({ lsn }) => lsn !== 2), 4, /no gaps/],
    ["the first records are gone", records(2, 3), 4, /records before LSN 2 are gone/],
    ["the replay ends too early", records(1, 2), 4, /ends where the log ends/],
    ["half a batch", records(1, 4), 5, /without the rest of its batch/],
  ])("%s", (_, recovered, nextLsn, message) => {
    expect(() => written().settle(recovered, nextLsn)).toThrow(message);
  });

  test("an LSN is acknowledged that was never given, or given that nobody asked for", () => {
    expect(() => written().acknowledge(6)).toThrow(/never given/);
    expect(() => written().given(7)).toThrow(/nobody has asked/);
  });

  test("a reader is given what nobody wrote, or another payload", () => {
    expect(() => written().deliver({ lsn: 6, payload: bytes(6) })).toThrow(/nobody wrote/);
    expect(() => written().deliver({ lsn: 2, payload: bytes(9) })).toThrow(/another payload/);
  });

  test("what a reader was given is gone after the next crash", () => {
    const ledger = written();
    ledger.deliver({ lsn: 5, payload: bytes(5) });
    expect(() => ledger.settle(records(1, 3), 4)).toThrow(/LSN 5 was acknowledged/);
  });

  test("even where the end may be lost, nothing comes back that nobody wrote", () => {
    expect(written().settleAfterLoss(records(1, 1), 2)).toBe(2);
    expect(() =>
      written().settleAfterLoss(
        records(1, 3, () => 9),
        4,
      ),
    ).toThrow(/nobody wrote/);
  });
});
