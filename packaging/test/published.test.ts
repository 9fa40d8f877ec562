// What a registry would serve: entry points, types and files of each tarball.
import path from "node:path";
import { describe, expect, inject, it } from "vitest";
import { mustRun, run } from "./support/command.js";
import { root } from "./support/workspace.js";

const tarballs = inject("tarballs");
const bin = (name: string) => path.join(root, "packaging", "node_modules", ".bin", name);

describe.each(tarballs)("the tarball of $name", ({ file, dir }) => {
  it("has entry points that exist and say what they are (publint)", async () => {
    const { code, stdout } = await run(bin("publint"), ["run", file, "--strict"], { cwd: root });
    expect(code, stdout).toBe(0);
  });

  it("gives every way of resolving it the right types (attw)", async () => {
    const args = [file, "--profile", "esm-only", "--no-emoji", "--format", "ascii"];
    const { code, stdout } = await run(bin("attw"), args, { cwd: root });
    expect(code, stdout).toBe(0);
  });

  it("holds license, read-me, code, types and sources, and no tests", async () => {
    const listing = await mustRun("tar", ["-tzf", file], { cwd: root });
    const names = listing
      .trimEnd()
      .split("\n")
      .map((name) => name.replace(/^package\//, ""));
    for (const wanted of [
      "LICENSE",
      "README.md",
      "package.json",
      "dist/index.js",
      "dist/index.d.ts",
      "src/index.ts",
    ]) {
      expect(names).toContain(wanted);
    }
    // An addon's package; @stonewal/io has only what its sources share.
    if (names.includes("native/addon.cc")) {
      expect(
        names.filter((name) =>
          name.endsWith(`/${process.platform}-${process.arch}/${path.basename(dir)}.node`),
        ),
      ).toHaveLength(1);
    }
    expect(names.filter((name) => /(^|\/)test(s|-results)?\//.test(name))).toEqual([]);
  });
});
