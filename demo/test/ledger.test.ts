import { describe, expect, it } from "vitest";
import { Ledger } from "../src/ledger.js";
import { MessageReader } from "../src/messages.js";

describe("the ledger", () => {
  it("refuses an acknowledgement out of order, or of what was never attempted", () => {
    const ledger = new Ledger();
    ledger.attempt(1);
    ledger.attempt(2);
    expect(() => ledger.attempt(4)).toThrow("record 4 was attempted after record 2");
    expect(() => ledger.acknowledge(2)).toThrow("record 2 was acknowledged");
    ledger.acknowledge(1);
    expect(() => ledger.acknowledge(1)).toThrow("record 1 was acknowledged");
    ledger.acknowledge(2);
    expect(() => ledger.acknowledge(3)).toThrow("record 3 was acknowledged");
  });

  it("takes what recovery has brought back for promised", () => {
    const ledger = new Ledger();
    for (const record of [1, 2, 3]) ledger.attempt(record);
    ledger.acknowledge(1);
    ledger.reopened(2);
    expect(ledger).toMatchObject({ acknowledged: 2, attempted: 2, acknowledgements: 1 });
    ledger.attempt(3);
  });
});

describe("the messages of a killed child", () => {
  it("are those that were told in full, however the pipe cuts them", () => {
    const told = '{"kind":"opening"}\n{"kind":"attempt","record":1}\n{"kind":"acknowledged","rec';
    for (let cut = 0; cut <= told.length; cut++) {
      const reader = new MessageReader();
      const messages = [...reader.push(told.slice(0, cut)), ...reader.push(told.slice(cut))];
      expect(messages).toEqual([{ kind: "opening" }, { kind: "attempt", record: 1 }]);
    }
  });
});
