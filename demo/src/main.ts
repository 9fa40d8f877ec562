// `npm start`, once everything is set up.
import { readCommandLine } from "./command-line.js";
import { demonstrate } from "./demonstration.js";

const commandLine = readCommandLine(process.argv.slice(2));
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
process.exitCode = await demonstrate({ commandLine, signal: interrupted.signal });
