// `npm run bench`, once everything is set up.
import path from "node:path";
import { bench, writeResults } from "./bench.js";
import { PLAN, QUICK_PLAN } from "./cases.js";
import { readCommandLine } from "./command-line.js";
import { resultTable } from "./table.js";

const { quick, out, parent } = readCommandLine(process.argv.slice(2));
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
const start = performance.now();
try {
  const results = await bench({
    plan: quick ? QUICK_PLAN : PLAN,
    parent,
    signal: interrupted.signal,
    onCase: ({ log, workload }) => {
      const settings = `${log.direct ? "direct" : "buffered"}, DWB ${log.dwb ? "on" : "off"}`;
      console.log(`measured: ${settings}, ${workload.name}`);
    },
  });
  console.log(resultTable(results.cases));
  const { cpu, cores, kernel, fileSystem, node, loadAverage } = results.machine;
  console.log(
    `${cpu}, ${cores} cores; ${process.platform} ${kernel}, ${fileSystem}; Node.js ${node}; load ${loadAverage.toFixed(1)} before`,
  );
  for (const reason of results.leftOut) console.log(`left out: ${reason}`);
  await writeResults(out, results);
  console.log(
    `written: ${path.relative(process.cwd(), out)}  (${((performance.now() - start) / 1000).toFixed(0)} s)`,
  );
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  console.error("interrupted");
  process.exitCode = 130;
}
