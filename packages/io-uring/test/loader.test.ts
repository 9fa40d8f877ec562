import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { IoError } from "@stonewal/io";
import { loadAddonFor } from "@stonewal/io/addon";
import { expect, test } from "vitest";
import { loadAddon, loadFor, SEARCH } from "../src/loader.js";

const BUILD = fileURLToPath(new URL("../build", import.meta.url));
const BUILD_SCRIPT = fileURLToPath(new URL("../../../scripts/build-addon.mjs", import.meta.url));

function refusal(platform: string): IoError {
  try {
    loadFor(platform);
  } catch (error) {
    return error as IoError;
  }
  throw new Error(`${platform} was loaded`);
}

const here = `${process.platform}-${process.arch}`;
test("a platform without an addon is IO_UNSUPPORTED, and the message says which back end works there", () => {
  for (const platform of ["win32-x64", "darwin-arm64", "linux-ia32", "constructor"]) {
    const error = refusal(platform);
    expect(error).toMatchObject({ name: "IoError", code: "IO_UNSUPPORTED" });
    expect(error.message).toContain(platform);
    expect(error.message).toContain("linux-x64, linux-arm64");
    expect(error.message).toContain("@stonewal/io-pwrite");
  }
});

/** As if the addon for a platform were to be in that folder, and is not. */
function missingFrom(folder: string): IoError {
  const file = pathToFileURL(join(folder, "io-uring.node"));
  const load = () => {
    throw new Error("Cannot find module");
  };
  try {
    loadAddonFor("linux-x64", { ...SEARCH, places: { "linux-x64": { file, load } } });
  } catch (error) {
    return error as IoError;
  }
  throw new Error("it was loaded");
}

test("an addon that can't be loaded is IO_UNSUPPORTED, and the message says where it was looked for and what to do", () => {
  const folder = mkdtempSync(join(tmpdir(), "stonewal-uring-"));
  const error = missingFrom(folder);
  expect(error).toMatchObject({ code: "IO_UNSUPPORTED", path: join(folder, "io-uring.node") });
  expect(error.message).toContain(join(folder, "io-uring.node"));
  expect(error.message).toContain("liburing-dev");
  expect(error.cause).toBeInstanceOf(Error);
  rmSync(folder, { recursive: true });
});

test("where liburing is not installed the build goes on without the addon, and loading says why there is none", () => {
  mkdirSync(BUILD, { recursive: true });
  const directory = mkdtempSync(join(BUILD, "without-liburing-"));
  try {
    const name = basename(directory);
    // A compiler to which liburing's header is unknown.
    const compiler = join(directory, "compiler");
    writeFileSync(compiler, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    mkdirSync(join(directory, "native"));
    writeFileSync(join(directory, "native", "addon.cc"), "#include <liburing.h>\n");
    writeFileSync(join(directory, "package.json"), JSON.stringify({ addon: { library: "liburing" } }));
    const built = spawnSync(process.execPath, [BUILD_SCRIPT], {
      cwd: directory,
      env: { ...process.env, CXX: compiler },
      encoding: "utf8",
    });
    expect(built).toMatchObject({ status: 0, stderr: "" });
    expect(built.stdout).toContain("liburing is not installed");
    const folder = join(directory, "prebuilds", here);
    expect(existsSync(join(folder, `${name}.node`))).toBe(false);
    renameSync(join(folder, `${name}.missing.txt`), join(folder, "io-uring.missing.txt"));
    expect(missingFrom(folder).message).toContain(
      "There is none because it was not built here, because liburing",
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the addon of this platform is where the loader looks", () => {
  expect(existsSync(new URL(`../prebuilds/${here}/io-uring.node`, import.meta.url))).toBe(true);
  expect(loadFor(here)).toBe(loadAddon());
});
