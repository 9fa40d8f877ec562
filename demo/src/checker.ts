// Holds a log against the file and the ledger, in a process of its own that has nothing but what is on the disk:
//   node checker.js '{"dir":…,"file":…,"acknowledged":N,"attempted":N}'
// Prints the finding as JSON. Ends with 0 if the log keeps the promise, 1 if it doesn't, 2 if the check could not be made.
import { type CheckRequest, checkLog } from "./check.js";

try {
  const finding = await checkLog(JSON.parse(process.argv[2] as string) as CheckRequest);
  console.log(JSON.stringify(finding));
  process.exitCode = finding.broken === undefined ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
