// The addons as binaries: which files a tarball carries, where its loader looks, and what the binary asks of a machine.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, inject, it } from "vitest";
import { mustRun, run } from "./support/command.js";
import { root } from "./support/workspace.js";

const here = `${process.platform}-${process.arch}`;
const addons = inject("tarballs")
  .filter(({ dir }) => existsSync(path.join(dir, "native", "addon.cc")))
  .map((tarball) => ({ ...tarball, addon: `${path.basename(tarball.dir)}.node` }));

/** `prebuilds/<platform>/<addon>` of a package in the workspace. */
function builtFiles(dir: string, addon: string): string[] {
  return readdirSync(path.join(dir, "prebuilds"))
    .map((platform) => `prebuilds/${platform}/${addon}`)
    .filter((file) => existsSync(path.join(dir, file)));
}

const NOT_BUILT = "the addon was not built here, for want of a library";

const built = (dir: string, addon: string) => existsSync(path.join(dir, "prebuilds", here, addon));

describe.each(addons)("the prebuilds of $name", ({ file, dir, addon }) => {
  it("are all in the tarball, and nothing else is beside them", async ({ skip }) => {
    if (!built(dir, addon)) skip(NOT_BUILT);
    const packed = (await mustRun("tar", ["-tzf", file], { cwd: root }))
      .split("\n")
      .map((name) => name.replace(/^package\//, ""))
      .filter((name) => name.startsWith("prebuilds/"));
    expect(packed.sort()).toEqual(builtFiles(dir, addon).sort());
    expect(packed).toContain(`prebuilds/${here}/${addon}`);
  });

  it("are where the packed loader looks: by literal paths, each in its own platform's folder", async () => {
    const loader = await mustRun("tar", ["-xzOf", file, "package/dist/loader.js"], { cwd: root });
    const places = [
      ...loader.matchAll(
        /"([a-z\d-]+)": \{\s*file: new URL\("([^"]+)".*?\),\s*load: \(\) => require\("([^"]+)"\)/g,
      ),
    ].map(([, platform, url, required]) => ({ platform, url, required }));
    expect(places.length).toBeGreaterThan(0);
    for (const { platform, url, required } of places) {
      expect(url).toBe(`../prebuilds/${platform}/${addon}`);
      expect(required).toBe(url);
    }
    expect(places.map(({ url }) => (url as string).slice("../".length))).toEqual(
      expect.arrayContaining(builtFiles(dir, addon)),
    );
  });

  it("are installed by nobody's script", () => {
    const manifest = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8"));
    expect(manifest.gypfile).toBe(false);
    expect(Object.keys(manifest.scripts)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(pre|post)?install$/)]),
    );
  });
});

describe("what an addon asks of the machine it is loaded on", async () => {
  const checker = path.join(root, "scripts", "check-addon.mjs");
  const check = (args: readonly string[]) => run(process.execPath, [checker, ...args], { cwd: root });
  const reason = await whyNotChecked();

  it.for(addons)(
    "$name needs no glibc and no library that Node.js does not",
    async ({ dir, addon }, { skip }) => {
      if (reason !== undefined || !built(dir, addon)) skip(reason ?? NOT_BUILT);
      expect(await check([path.join(dir, "prebuilds", here, addon)])).toMatchObject({ code: 0, stderr: "" });
    },
  );

  it.for(addons)("a glibc older than $name needs is told by symbol", async ({ dir, addon }, { skip }) => {
    if (reason !== undefined || !built(dir, addon)) skip(reason ?? NOT_BUILT);
    const { code, stderr } = await check(["--glibc=2.0", path.join(dir, "prebuilds", here, addon)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/malloc needs glibc 2\.[\d.]+, newer than 2\.0/);
  });
});

async function whyNotChecked(): Promise<string | undefined> {
  if (process.platform !== "linux") return "glibc is Linux's";
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const minor = Number(header.glibcVersionRuntime?.split(".")[1] ?? Number.NaN);
  // What is published is built on Debian 12; a newer glibc's headers may ask for more.
  if (!(minor <= 36))
    return `built with glibc ${header.glibcVersionRuntime ?? "of no version"}, not with 2.36 or older`;
  const { code } = await run("objdump", ["--version"], { cwd: root });
  return code === 0 ? undefined : "objdump is not installed (apt-get install binutils)";
}
