// `npm test [-- PACKAGE...]`: set up, lint, look for unused code, check types, run every package's tests. The last line, alone, is
// `N passed, N failed, N skipped`.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { exitWith, quietEnv, root, run, setup, turbo, workspaceDirs } from "./setup.mjs";
import { reportFile } from "./test-report.mjs";

// The tests wait for the disk more than for the processor; more at once only makes their time limits unreliable.
const concurrency = 2;

const heading = (text) => console.log(`\n== ${text}`);

async function lint() {
  heading("lint");
  const program = path.join(root, "node_modules", "@biomejs", "biome", "bin", "biome");
  const colors = process.stdout.isTTY ? "force" : "off";
  const { code } = await run(process.execPath, [program, "ci", `--colors=${colors}`, "."], { env: quietEnv });
  return code === 0;
}

/** Files, exports and dependencies that nothing uses; knip.jsonc says what counts as used. */
async function findUnused() {
  heading("unused code");
  const program = path.join(root, "node_modules", "knip", "bin", "knip.js");
  const { code } = await run(process.execPath, [program, "--no-progress"], { env: quietEnv });
  if (code === 0) console.log("none");
  return code === 0;
}

async function typecheck(filters) {
  heading("types");
  const { code, output } = await turbo(["typecheck", "--continue", "--output-logs=errors-only", ...filters], {
    onLine: () => {},
  });
  if (code !== 0) process.stdout.write(output);
  else console.log("ok");
  return code === 0;
}

function testedPackages(names) {
  return workspaceDirs()
    .slice(1)
    .map((dir) => ({ dir, name: JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8")).name }))
    .filter(({ name }) => names.length === 0 || names.includes(name));
}

function hasTests(dir) {
  const testDir = path.join(dir, "test");
  return existsSync(testDir) && readdirSync(testDir, { recursive: true }).some((f) => f.endsWith(".test.ts"));
}

async function runTests(packages) {
  heading("tests");
  const total = { passed: 0, failed: [], skipped: [] };
  if (packages.length === 0) return total;
  // A report that is there afterwards must be of this run.
  for (const { dir } of packages) rmSync(path.join(dir, reportFile), { force: true });
  const reporter = path.join(root, "scripts", "test-report.mjs");
  const filters = packages.map(({ name }) => `--filter=${name}`);
  // Only the tests: set-up has built everything, and the arguments after `--` would change every build's cache key.
  const args = [
    "test",
    "--only",
    "--continue",
    `--concurrency=${concurrency}`,
    "--log-order=stream",
    ...filters,
  ];
  const { code } = await turbo([...args, "--", "--reporter=default", `--reporter=${reporter}`]);

  for (const { dir, name } of packages) {
    const file = path.join(dir, reportFile);
    if (!existsSync(file)) {
      total.failed.push({ name, reason: "ended without a report" });
      continue;
    }
    const report = JSON.parse(readFileSync(file, "utf8"));
    total.passed += report.passed;
    for (const test of report.failed) total.failed.push({ ...test, name: `${name}: ${test.name}` });
    for (const test of report.skipped) total.skipped.push({ ...test, name: `${name}: ${test.name}` });
  }
  if (code !== 0 && total.failed.length === 0) {
    total.failed.push({ name: "turbo run test", reason: `exit ${code}, although no test failed` });
  }
  return total;
}

await exitWith(async () => {
  const names = process.argv.slice(2);
  const packages = testedPackages(names);
  const unknown = names.filter((name) => !packages.some((known) => known.name === name));
  if (unknown.length > 0) {
    console.error(`no such package: ${unknown.join(", ")}`);
    return 2;
  }
  const filters = names.map((name) => `--filter=${name}`);

  await setup();
  const lintPassed = await lint();
  const allUsed = await findUnused();
  const typesPassed = await typecheck(filters);
  const { passed, failed, skipped } = await runTests(packages.filter(({ dir }) => hasTests(dir)));

  heading("result");
  for (const test of skipped) console.log(`skipped  ${test.name}: ${test.reason ?? "no reason given"}`);
  for (const test of failed) console.log(`failed   ${test.name}: ${test.reason}`);
  if (!lintPassed) console.log("lint failed, see above");
  if (!allUsed) console.log("unused code found, see above");
  if (!typesPassed) console.log("type check failed, see above");
  if (passed + failed.length === 0) console.log("no tests were run");
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return lintPassed && allUsed && typesPassed && failed.length === 0 && passed > 0 ? 0 : 1;
});
