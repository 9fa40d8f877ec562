// Opens a reader on the directory that is its argument, with nothing else that keeps the process alive.
import { pwrite } from "@stonewal/io-pwrite";
import { openReader } from "@stonewal/recovery";

const said = await openReader({ io: pwrite(), directory: process.argv[2] }).then(
  () => "opened",
  (error) => error.code,
);
console.log(said);
