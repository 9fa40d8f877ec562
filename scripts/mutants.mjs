// `npm run test:mutants [-- --only TEXT] [-- --write]`: set up, then run the mutation gate.
import path from "node:path";
import { exitWith, root, run, setup } from "./setup.mjs";

await exitWith(async () => {
  await setup();
  const main = path.join(root, "mutation", "dist", "main.js");
  const { code } = await run(process.execPath, [main, ...process.argv.slice(2)], { env: process.env });
  return code;
});
