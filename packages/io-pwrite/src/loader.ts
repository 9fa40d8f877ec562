import { createRequire } from "node:module";
import { type AddonSearch, loadAddonFor, type NativeAddon } from "@stonewal/io/addon";

const require = createRequire(import.meta.url);

const SEARCH: AddonSearch = {
  packageName: "@stonewal/io-pwrite",
  places: {
    "linux-x64": {
      file: new URL("../prebuilds/linux-x64/io-pwrite.node", import.meta.url),
      load: () => require("../prebuilds/linux-x64/io-pwrite.node"),
    },
    "linux-arm64": {
      file: new URL("../prebuilds/linux-arm64/io-pwrite.node", import.meta.url),
      load: () => require("../prebuilds/linux-arm64/io-pwrite.node"),
    },
    "darwin-x64": {
      file: new URL("../prebuilds/darwin-x64/io-pwrite.node", import.meta.url),
      load: () => require("../prebuilds/darwin-x64/io-pwrite.node"),
    },
    "darwin-arm64": {
      file: new URL("../prebuilds/darwin-arm64/io-pwrite.node", import.meta.url),
      load: () => require("../prebuilds/darwin-arm64/io-pwrite.node"),
    },
  },
  elsewhere: "Elsewhere use another back end: any object that passes @stonewal/io/conformance will do.",
  advice: () =>
    "If the package was installed without its prebuilds, install it again; in a checkout of the repository, " +
    "`npm run build` makes it and needs a C++ compiler.",
};

let loaded: NativeAddon | undefined;

/** The addon for this platform. Throws `IO_UNSUPPORTED`, saying where it looked and what can be done. */
export function loadAddon(): NativeAddon {
  loaded ??= loadFor(`${process.platform}-${process.arch}`);
  return loaded;
}

/** As `loadAddon`, for a platform by name: `linux-x64`. */
export function loadFor(platform: string): NativeAddon {
  return loadAddonFor(platform, SEARCH) as NativeAddon;
}
