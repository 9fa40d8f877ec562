import { readFileSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { isRight, runGate } from "./gate.js";
import { MutantError } from "./mutant.js";
import { mutants } from "./mutants.js";
import { verdictLine, verdictTable, withTable } from "./report.js";

/** The whole gate: `npm run test:mutants`. Ends with 1 if a mutant is not caught, or a campaign fails on the log as it is. */

const PAGE = new URL("../../docs/fault-model.md", import.meta.url);

const { only, write } = new Command("npm run test:mutants --")
  .description("Breaks the log's code in one place at a time, and sees that a campaign notices.")
  .option("--only <text>", "only the mutants whose name contains this")
  .option("--write", "writes the table into docs/fault-model.md", false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()
  .opts<{ only?: string; write: boolean }>();

const chosen = mutants.filter(({ name }) => only === undefined || name.includes(only));

try {
  const verdicts = await runGate(chosen, (verdict) => console.log(verdictLine(verdict)));
  const wrong = verdicts.filter((verdict) => !isRight(verdict));
  console.log(verdictTable(verdicts));
  if (write && only === undefined && wrong.length === 0)
    writeFileSync(PAGE, withTable(readFileSync(PAGE, "utf8"), verdicts));
  for (const verdict of wrong) console.log(verdictLine(verdict));
  console.log(`${chosen.length} mutants, ${wrong.length} trials that did not end as they have to`);
  process.exitCode = wrong.length === 0 && chosen.length > 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof MutantError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
