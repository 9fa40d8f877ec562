// Run under the fault shim: the nth matching system call of a short run fails, for every n. Arguments: control file,
// scratch directory, a rule with `%n` for n, what acknowledges. Prints a JSON summary; a broken promise is a non-zero exit.
import { rmSync } from "node:fs";
import { pwrite } from "@stonewal/io-pwrite";
import { armFaults, faultCounts } from "../../../io-pwrite/test/support/fault-shim.mjs";
import { checkLog, RECORDS, shortRun } from "./short-run.mjs";

const [control, scratch, rule, ack] = process.argv.slice(2);
const codes = {};
let runs = 0;
for (let n = 1; ; n += 1) {
  const directory = `${scratch}/${n}`;
  let acknowledged = 0;
  let failure;
  let io = pwrite();
  armFaults(control, rule.replaceAll("%n", n));
  try {
    const note = (lsn) => {
      acknowledged = lsn;
    };
    await shortRun(io, directory, note, ack);
  } catch (error) {
    failure = error;
  }
  const { applied, overlappedSyncs } = faultCounts(control);
  armFaults(control, "");
  await io.close();
  if (overlappedSyncs > 0) throw new Error(`n = ${n}: ${overlappedSyncs} syncs of one file overlapped`);
  if (failure !== undefined) {
    if (typeof failure.code !== "string")
      throw new Error(`n = ${n}: an error without a code`, { cause: failure });
    codes[failure.code] = (codes[failure.code] ?? 0) + 1;
  }
  // A new process would do the same: nothing of the writer is left but what is on the disk.
  io = pwrite();
  try {
    await checkLog(io, directory, acknowledged);
    // And it goes on from there.
    await shortRun(io, directory, () => undefined);
    await checkLog(io, directory, RECORDS);
  } catch (error) {
    throw new Error(`n = ${n}, after ${failure?.code ?? "no failure"}: ${error.message}`, { cause: error });
  }
  await io.close();
  rmSync(directory, { recursive: true, force: true });
  if (applied === 0) break;
  runs += 1;
}
console.log(JSON.stringify({ runs, codes }));
