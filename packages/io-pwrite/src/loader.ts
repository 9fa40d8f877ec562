import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { IoError } from "@stonewal/io";
import type { NativeAddon } from "./native.js";

const require = createRequire(import.meta.url);

/**
 * Where each platform's addon is, and how it is loaded. The paths are spelled out so that a bundler sees which
 * files belong to the package.
 */
const ADDONS: Readonly<Record<string, { readonly path: string; load(): unknown }>> = {
  "linux-x64": {
    path: "../prebuilds/linux-x64/io-pwrite.node",
    load: () => require("../prebuilds/linux-x64/io-pwrite.node"),
  },
  "linux-arm64": {
    path: "../prebuilds/linux-arm64/io-pwrite.node",
    load: () => require("../prebuilds/linux-arm64/io-pwrite.node"),
  },
  "darwin-x64": {
    path: "../prebuilds/darwin-x64/io-pwrite.node",
    load: () => require("../prebuilds/darwin-x64/io-pwrite.node"),
  },
  "darwin-arm64": {
    path: "../prebuilds/darwin-arm64/io-pwrite.node",
    load: () => require("../prebuilds/darwin-arm64/io-pwrite.node"),
  },
};

let loaded: NativeAddon | undefined;

/** The addon for this platform. Throws `IO_UNSUPPORTED`, saying where it looked and what can be done. */
export function loadAddon(): NativeAddon {
  loaded ??= loadFor(`${process.platform}-${process.arch}`);
  return loaded;
}

/** As `loadAddon`, for a platform by name: `linux-x64`. */
export function loadFor(platform: string): NativeAddon {
  const supported = Object.keys(ADDONS).join(", ");
  const addon = Object.hasOwn(ADDONS, platform) ? ADDONS[platform] : undefined;
  if (addon === undefined) {
    throw new IoError(
      "IO_UNSUPPORTED",
      `@stonewal/io-pwrite has no addon for ${platform}; it works on ${supported}. ` +
        "Elsewhere use another back end: any object that passes @stonewal/io/conformance will do.",
    );
  }
  const path = fileURLToPath(new URL(addon.path, import.meta.url));
  try {
    return addon.load() as NativeAddon;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split("\n", 1)[0] ?? "") : String(cause);
    throw new IoError(
      "IO_UNSUPPORTED",
      `@stonewal/io-pwrite cannot load its addon for ${platform}. Looked for ${path}: ${reason}. ` +
        `There are addons for ${supported} (on Linux: glibc 2.36 or later). If the package was installed without its ` +
        "prebuilds, install it again; in a checkout of the repository, `npm run build` makes it and needs a C++ compiler.",
      { path, cause },
    );
  }
}
