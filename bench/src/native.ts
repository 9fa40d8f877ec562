import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const NATIVE = fileURLToPath(new URL("../native/", import.meta.url));

/** The programs in `native/`, by name. */
export type NativeProgram = "floor" | "read-once" | "arrivals";

const PROGRAMS: readonly NativeProgram[] = ["floor", "read-once", "arrivals"];

/** Compiles them into `directory`. */
export async function buildPrograms(directory: string): Promise<void> {
  for (const program of PROGRAMS) {
    const source = path.join(NATIVE, `${program}.cc`);
    const output = programPath(directory, program);
    await promisify(execFile)(process.env.CXX || "c++", ["-std=c++17", "-O2", "-o", output, source]);
  }
}

export function programPath(directory: string, program: NativeProgram): string {
  return path.join(directory, program);
}
