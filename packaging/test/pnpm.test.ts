// The packages as pnpm installs them from their tarballs: it runs no install script unless the project allows it, and links each
// package only to what it declares.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, inject, it } from "vitest";
import { backendsHere } from "../../packages/stonewal/test/support/backends-here.mjs";
import { projectDir, runProgram } from "./support/consumer.js";
import { pnpm } from "./support/package-managers.js";

it("installed by pnpm with scripts blocked, a log is written and read on each back end", async () => {
  const project = path.join(projectDir, "..", "pnpm-project");
  mkdirSync(project);
  const tarballs = Object.entries(inject("dependencies"));
  writeFileSync(path.join(project, "package.json"), '{ "name": "consumer", "private": true }\n');
  // Versions that no registry has: each range of ours is to mean the tarball.
  const overrides = tarballs.map(([name, file]) => `  ${JSON.stringify(name)}: ${JSON.stringify(file)}`);
  writeFileSync(
    path.join(project, "pnpm-workspace.yaml"),
    `packages: []\noverrides:\n${overrides.join("\n")}\n`,
  );
  const wanted = ["stonewal", "@stonewal/io-pwrite", "@stonewal/io-uring"];
  const files = tarballs.filter(([name]) => wanted.includes(name)).map(([, file]) => file);
  await pnpm(["add", "--offline", ...files], project);

  const backends = await backendsHere();
  const program = `
    import { openWal } from "stonewal";
    for (const io of ${JSON.stringify(backends)}) {
      const wal = await openWal({ dir: io, io, segmentBytes: 1 << 20 });
      await wal.commit({ payload: Buffer.from("first") });
      for await (const { lsn, payload } of wal.read()) {
        console.log(wal.io.name, lsn, Buffer.from(payload).toString());
      }
      await wal.close();
    }
  `;
  expect(await runProgram("program.mjs", program, project)).toBe(
    backends.map((io) => `${io} 1 first\n`).join(""),
  );
});
