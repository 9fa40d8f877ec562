import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { IoError } from "@stonewal/io";
import { expect, test } from "vitest";
import { loadAddon, loadFor } from "../src/loader.js";

function refusal(platform: string): IoError {
  try {
    loadFor(platform);
  } catch (error) {
    return error as IoError;
  }
  throw new Error(`${platform} was loaded`);
}

test("a platform without an addon is IO_UNSUPPORTED, and the message says which have one", () => {
  for (const platform of ["win32-x64", "freebsd-x64", "linux-ia32", "constructor"]) {
    const error = refusal(platform);
    expect(error).toMatchObject({ name: "IoError", code: "IO_UNSUPPORTED" });
    expect(error.message).toContain(platform);
    expect(error.message).toContain("linux-x64, linux-arm64, darwin-x64, darwin-arm64");
    expect(error.message).toContain("another back end");
  }
});

test("an addon that can't be loaded is IO_UNSUPPORTED, and the message says where it was looked for and what to do", () => {
  const elsewhere = process.platform === "darwin" ? "linux-x64" : "darwin-arm64";
  const error = refusal(elsewhere);
  const path = fileURLToPath(new URL(`../prebuilds/${elsewhere}/io-pwrite.node`, import.meta.url));
  expect(error).toMatchObject({ code: "IO_UNSUPPORTED", path });
  expect(error.message).toContain(path);
  expect(error.message).toContain("npm run build");
  expect(error.cause).toBeInstanceOf(Error);
});

test("the addon of this platform is where the loader looks", () => {
  const here = `${process.platform}-${process.arch}`;
  expect(existsSync(new URL(`../prebuilds/${here}/io-pwrite.node`, import.meta.url))).toBe(true);
  expect(loadFor(here)).toBe(loadAddon());
});
