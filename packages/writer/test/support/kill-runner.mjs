// A short run that the fault shim kills at some system call. Says on standard output what was acknowledged, as it happens.
import { writeSync } from "node:fs";
import { pwrite } from "@stonewal/io-pwrite";
import { shortRun } from "./short-run.mjs";

const io = pwrite();
const [directory, ack] = process.argv.slice(2);
await shortRun(io, directory, (lsn) => writeSync(1, `${lsn}\n`), ack);
await io.close();
writeSync(1, "done\n");
