// A TypeScript program that uses the installed packages, as an ES module and as CommonJS, with every .d.ts checked too.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "./support/command.js";
import { scratchDir } from "./support/consumer.js";
import { root } from "./support/workspace.js";

const PROGRAM = `
import { pwrite } from "@stonewal/io-pwrite";
import type { IoBackend } from "@stonewal/io";
import { openWal, RecoveryError, type LogRecord, type Wal, type WalStats } from "stonewal";

export async function use(io: IoBackend = pwrite()): Promise<number> {
  const wal: Wal = await openWal({ dir: "log", io, dwb: "buffered" });
  const lsn: number = await wal.commit({ payload: new Uint8Array(8), type: 7, tenant: 1n });
  for await (const record of wal.read({ from: lsn })) show(record);
  const stats: WalStats = wal.stats();
  await wal.close();
  return stats.recordsAppended;
}

function show({ lsn, payload }: LogRecord): [number, Uint8Array] {
  return [lsn, payload];
}

export const isDamage = (error: unknown): error is RecoveryError => error instanceof RecoveryError;
`;

/** A payload must be bytes. If this compiled, the types would resolve to \`any\`. */
const WRONG = `
import { openWal } from "stonewal";
const wal = await openWal({ dir: "log" });
await wal.commit({ payload: "text" });
`;

async function compile(file: string, program: string) {
  const cwd = scratchDir();
  writeFileSync(path.join(cwd, file), program);
  writeFileSync(
    path.join(cwd, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        module: "nodenext",
        target: "es2022",
        lib: ["es2023", "esnext.disposable"],
        types: ["node"],
        strict: true,
        skipLibCheck: false,
        noEmit: true,
      },
      files: [file],
    }),
  );
  return run(process.execPath, [path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."], {
    cwd,
  });
}

describe("types of the installed packages", () => {
  it.each(["program.mts", "program.cts"])("resolve for %s", async (file) => {
    expect(await compile(file, PROGRAM)).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it("refuse a payload that is text", async () => {
    const { code, stdout } = await compile("wrong.mts", WRONG);
    expect(code).not.toBe(0);
    expect(stdout).toMatch(/wrong\.mts\(4,20\): error TS2322/);
  });
});
