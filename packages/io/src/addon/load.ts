import { fileURLToPath } from "node:url";
import { IoError } from "../errors.js";

/** Where the addon for one platform is. */
export interface AddonPlace {
  /** The file, for the message. */
  readonly file: URL;
  /** Loads it. The path is spelled out there once more, so that a bundler sees which files belong to the package. */
  load(): unknown;
}

export interface AddonSearch {
  readonly packageName: string;
  readonly places: Readonly<Record<string, AddonPlace>>;
  /** What to do where the package has nothing for a platform. */
  readonly elsewhere: string;
  /** What to do where the file is not there or does not load. Given the place that was looked at. */
  advice(place: AddonPlace): string;
}

/**
 * The addon for a platform by name: `linux-x64`. Throws `IO_UNSUPPORTED`, saying where it looked and what can be
 * done.
 */
export function loadAddonFor(platform: string, search: AddonSearch): unknown {
  const { packageName, places } = search;
  const supported = Object.keys(places).join(", ");
  const place = Object.hasOwn(places, platform) ? places[platform] : undefined;
  if (place === undefined) {
    throw new IoError(
      "IO_UNSUPPORTED",
      `${packageName} has no addon for ${platform}; it works on ${supported}. ${search.elsewhere}`,
    );
  }
  try {
    return place.load();
  } catch (cause) {
    const path = fileURLToPath(place.file);
    const reason = cause instanceof Error ? (cause.message.split("\n", 1)[0] ?? "") : String(cause);
    throw new IoError(
      "IO_UNSUPPORTED",
      `${packageName} cannot load its addon for ${platform}. Looked for ${path}: ${reason}. ` +
        `There are addons for ${supported} (on Linux: glibc 2.36 or later). ${search.advice(place)}`,
      { path, cause },
    );
  }
}
