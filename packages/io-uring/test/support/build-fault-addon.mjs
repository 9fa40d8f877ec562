// Before the tests: the addon in which requests can be made to go wrong. A build that is up to date takes no time.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function setup() {
  const packageDir = fileURLToPath(new URL("../..", import.meta.url));
  const script = fileURLToPath(new URL("../../../../scripts/build-addon.mjs", import.meta.url));
  const flags = ["--define=STONEWAL_FAULTS", "--output=build/faults/io-uring.node"];
  const built = spawnSync(process.execPath, [script, ...flags], { cwd: packageDir, encoding: "utf8" });
  if (built.status !== 0)
    throw new Error(`the addon with faults was not built:\n${built.stdout}${built.stderr}`);
}
