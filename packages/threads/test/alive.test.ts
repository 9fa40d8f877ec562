import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scratch } from "./support/committers.js";

const PROGRAM = fileURLToPath(new URL("./support/quiet.mjs", import.meta.url));

test("a pending commit keeps its worker alive until it is durable; an attached and idle log keeps nothing alive", async () => {
  const child = spawn(process.execPath, [PROGRAM, scratch()], { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const [code] = await once(child, "close");
  expect(code).toBe(0);
  expect(printed).toBe("durable 1\nworker ended\n");
});
