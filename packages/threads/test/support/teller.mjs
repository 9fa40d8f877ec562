// Commits without end and prints each LSN, with the record's name, once it is durable.
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { attachLog } from "@stonewal/threads";

const { link, worker, first } = workerData;
const log = attachLog(link);
let next = 0;

async function committer() {
  for (;;) {
    const number = next;
    next += 1;
    const name = `${first} ${worker} ${number}`;
    const lsn = await log.commit({ payload: new TextEncoder().encode(name.padEnd(20 + (number % 500))) });
    // One line, one write: a kill leaves it whole or not there.
    writeSync(1, `${lsn} ${name}\n`);
  }
}

for (let index = 0; index < 16; index += 1) void committer();
