// Runs the one test of the conformance kit that is named on the command line, in a process that has the fault shim.
import { conformanceTests } from "@stonewal/io/conformance";
import { subject } from "./subject.mjs";

const name = process.argv[2];
const test = conformanceTests(await subject(process.env.STONEWAL_FAULTS_CONTROL)).find(
  (one) => one.name === name,
);
if (test === undefined) throw new Error(`no such test: ${name}`);
await test.run();
