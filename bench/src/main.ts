// `npm run bench`, once everything is set up.
import path from "node:path";
import { bench } from "./bench.js";
import { type CommandLine, readCommandLine } from "./command-line.js";
import { writeDocuments } from "./docs.js";
import { PLAN, QUICK_PLAN } from "./plan.js";
import { writeResults } from "./results.js";
import { buildBetterSqlite3 } from "./stores/better-sqlite3.js";
import { caseTable, targetTable } from "./table.js";
import { outcomes } from "./targets.js";

async function measureAll({ quick, rounds, experiments, out, parent }: CommandLine): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(0);
  try {
    await buildBetterSqlite3().catch(() => {
      console.log("better-sqlite3 could not be built: Python, make and a C++ compiler are needed");
    });
    const plan = quick ? QUICK_PLAN : PLAN;
    let current = "";
    const results = await bench({
      plan: { ...plan, rounds: rounds ?? plan.rounds },
      experiments,
      parent,
      signal: interrupted.signal,
      onCase: (result) => {
        if (result.experiment !== current) console.log(`\n${result.experiment}  (${seconds()} s)`);
        current = result.experiment;
        console.log(caseTable(result));
      },
    });
    const { cpu, cores, kernel, fileSystem, node, loadAverage } = results.machine;
    console.log(
      `${cpu}, ${cores} cores; ${process.platform} ${kernel}, ${fileSystem}; Node.js ${node}; load ${loadAverage.toFixed(1)} before`,
    );
    console.log(targetTable(outcomes(results)));
    for (const reason of results.leftOut) console.log(`left out: ${reason}`);
    await writeResults(out, results);
    console.log(`written: ${path.relative(process.cwd(), out)}  (${seconds()} s)`);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    console.error("interrupted");
    process.exitCode = 130;
  }
}

const commandLine = readCommandLine(process.argv.slice(2));
if (commandLine.writeDocs === undefined) await measureAll(commandLine);
else {
  const { files, missing } = await writeDocuments(commandLine.writeDocs);
  for (const file of files.keys()) console.log(`written: ${path.relative(process.cwd(), file)}`);
  if (missing.length > 0) console.log(`not in these results: ${missing.join(", ")}`);
}
