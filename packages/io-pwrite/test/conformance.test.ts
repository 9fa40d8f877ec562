import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { conformanceTests } from "@stonewal/io/conformance";
import { describe, test } from "vitest";
import { controlEnvironment, createFaultControl } from "./support/fault-shim.mjs";
import { subject } from "./support/subject.mjs";

const RUNNER = fileURLToPath(new URL("./support/run-conformance-test.mjs", import.meta.url));

/** System calls can only be made to fail in a process that was started for it. */
async function runWithFaults(name: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stonewal-faults-"));
  try {
    const control = join(directory, "control");
    createFaultControl(control);
    const child = spawn(process.execPath, [RUNNER, name], {
      env: controlEnvironment(control),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const [code, signal] = await once(child, "close");
    if (code !== 0) throw new Error(`the test ended with ${code ?? signal}:\n${output}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const pwriteSubject = await subject();

describe("the pwrite back end keeps every promise of IoBackend", () => {
  for (const one of conformanceTests(pwriteSubject)) {
    test(one.name, { timeout: 60_000 }, (context) => {
      const linuxOnly = one.needs.includes("faults") && process.platform !== "linux";
      const skipped = one.skipped ?? (linuxOnly ? "the fault shim is for Linux" : undefined);
      if (skipped !== undefined) return context.skip(skipped);
      return one.needs.includes("faults") ? runWithFaults(one.name) : one.run();
    });
  }
});
