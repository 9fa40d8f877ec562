import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type AddonPlace, type AddonSearch, loadAddonFor } from "@stonewal/io/addon";
import type { UringAddon } from "./native.js";

const require = createRequire(import.meta.url);

export const SEARCH: AddonSearch = {
  packageName: "@stonewal/io-uring",
  places: {
    "linux-x64": {
      file: new URL("../prebuilds/linux-x64/io-uring.node", import.meta.url),
      load: () => require("../prebuilds/linux-x64/io-uring.node"),
    },
    "linux-arm64": {
      file: new URL("../prebuilds/linux-arm64/io-uring.node", import.meta.url),
      load: () => require("../prebuilds/linux-arm64/io-uring.node"),
    },
  },
  elsewhere: "io_uring is a part of Linux; @stonewal/io-pwrite works elsewhere too.",
  advice,
};

function advice(place: AddonPlace): string {
  // The build leaves it where liburing is missing.
  const missing = new URL("io-uring.missing.txt", place.file);
  if (!existsSync(place.file) && existsSync(missing)) {
    return `There is none because ${readFileSync(missing, "utf8").trim()}. Then \`npm run build\` makes it.`;
  }
  return (
    "If the package was installed without its prebuilds, install it again; in a checkout of the repository, " +
    "`npm run build` makes it and needs a C++ compiler and liburing (apt-get install liburing-dev)."
  );
}

let loaded: UringAddon | undefined;

/** The addon for this platform. Throws `IO_UNSUPPORTED`, saying where it looked and what can be done. */
export function loadAddon(): UringAddon {
  loaded ??= loadFor(`${process.platform}-${process.arch}`);
  return loaded;
}

/** As `loadAddon`, for a platform by name: `linux-x64`. */
export function loadFor(platform: string): UringAddon {
  return loadAddonFor(platform, SEARCH) as UringAddon;
}
