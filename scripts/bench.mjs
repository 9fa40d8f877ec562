// `npm run bench [-- --quick] [-- --out FILE]`: set up, then measure.
import path from "node:path";
import { exitWith, root, run, setup } from "./setup.mjs";

await exitWith(async () => {
  await setup();
  const main = path.join(root, "bench", "dist", "main.js");
  const { code } = await run(process.execPath, [main, ...process.argv.slice(2)], { env: process.env });
  return code;
});
