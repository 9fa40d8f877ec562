// `npm run test:soak [-- --only STEP] [-- OPTION...]`: set up, then look for failures for as long as asked. Options go to the campaigns:
// `npm run test:soak -- --help`.
import path from "node:path";
import { exitWith, quietEnv, root, run, setup } from "./setup.mjs";

/** One after another. A step is added here: a program that exits with 0 if it found nothing. */
const steps = [
  // Random histories on a simulated disk, and every crash of short ones.
  { name: "campaigns", program: "campaign/dist/soak/main.js", takesOptions: true },
  // What reads files, on damaged and made-up ones.
  { name: "fuzz", program: "scripts/fuzz.mjs", env: { STONEWAL_FUZZ: "20" } },
  // The addons' own code under AddressSanitizer and UBSan, with many hostile calls.
  { name: "sanitize", program: "scripts/sanitize.mjs", env: { STONEWAL_FUZZ: "20" } },
];

await exitWith(async () => {
  const args = process.argv.slice(2);
  const at = args.indexOf("--only");
  const [, only] = at === -1 ? [] : args.splice(at, 2);
  const chosen = steps.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) {
    console.error(`--only takes one of: ${steps.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  await setup();
  const asksForHelp = args.includes("--help") || args.includes("-h");
  const failed = [];
  for (const { name, program, takesOptions, env } of asksForHelp ? chosen.slice(0, 1) : chosen) {
    console.log(`\n== ${name}`);
    const command = [path.join(root, program), ...(takesOptions ? args : [])];
    const { code } = await run(process.execPath, command, { env: { ...quietEnv, ...env } });
    if (code !== 0) failed.push(name);
    // Interrupted, or called in a wrong way: the rest is not wanted either.
    if (code === 130 || (takesOptions && code > 1)) break;
  }
  if (!asksForHelp)
    console.log(failed.length === 0 ? "\nnothing was found" : `\nfailed: ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
});
