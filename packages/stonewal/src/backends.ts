import type { IoBackend } from "@stonewal/io";
import { pwrite } from "@stonewal/io-pwrite";
import { uring } from "@stonewal/io-uring";
import { WalError } from "@stonewal/writer";
import { backendChannel } from "./events.js";

/** Every back end that can be asked for by name, the one that `auto` prefers first. This is where another one is added. */
const KNOWN = [
  { name: "io-uring", make: () => uring() },
  { name: "pwrite", make: () => pwrite() },
] as const satisfies readonly KnownBackend[];

interface KnownBackend {
  readonly name: string;
  /** Throws an `IoError` where this platform can't have it. */
  make(): IoBackend;
}

/** The name of a back end that comes with this package. */
export type BackendName = (typeof KNOWN)[number]["name"];

/** Which back end to use: `auto` (default) is the best that works here. */
export type BackendChoice = "auto" | BackendName | IoBackend;

export interface PickedBackend {
  readonly io: IoBackend;
  /** It was made here, so it is closed by whoever asked for it; a caller's own is the caller's to close. */
  readonly owned: boolean;
}

/** The names that `io` may be, `auto` first. */
export function backendNames(): readonly string[] {
  return ["auto", ...KNOWN.map((known) => known.name)];
}

/**
 * The back end for the log in `directory`. What it makes is announced on `stonewal:backend`, with what was tried before.
 *
 * Throws `WAL_ARGUMENT` for a name it doesn't know, `WAL_UNSUPPORTED` where `auto` finds none that works, and what the back
 * end throws where one was asked for by name.
 */
export function pickBackend(choice: BackendChoice | undefined, directory: string): PickedBackend {
  const asked = choice === undefined ? "auto" : choice;
  if (typeof asked !== "string") {
    checkIsBackend(asked);
    return { io: asked, owned: false };
  }
  const io = asked === "auto" ? pickBest(directory) : makeNamed(asked, directory);
  return { io, owned: true };
}

/** Runs `use` with a back end, and closes it afterwards if it was made for this. */
export async function withBackend<T>(
  choice: BackendChoice | undefined,
  directory: string,
  use: (io: IoBackend) => Promise<T>,
): Promise<T> {
  const { io, owned } = pickBackend(choice, directory);
  try {
    return await use(io);
  } finally {
    if (owned) await io.close();
  }
}

function makeNamed(name: string, directory: string): IoBackend {
  const known: KnownBackend | undefined = KNOWN.find((candidate) => candidate.name === name);
  if (known === undefined) {
    throw new WalError(
      "WAL_ARGUMENT",
      `there is no back end named ${JSON.stringify(name)}; there are ${backendNames().join(", ")}`,
    );
  }
  const io = known.make();
  backendChannel.publish({ directory, name: io.name, tried: [] });
  return io;
}

function pickBest(directory: string): IoBackend {
  const tried: { name: string; error: unknown }[] = [];
  for (const known of KNOWN) {
    try {
      const io = known.make();
      backendChannel.publish({ directory, name: io.name, tried });
      return io;
    } catch (error) {
      tried.push({ name: known.name, error });
    }
  }
  const reasons = tried.map(
    ({ name, error }) => `${name}: ${error instanceof Error ? error.message : error}`,
  );
  throw new WalError("WAL_UNSUPPORTED", `no back end works here. ${reasons.join(" ")}`, tried[0]?.error);
}

function checkIsBackend(io: unknown): void {
  const wanted = ["open", "submit", "arena", "probe", "close"];
  const has = (name: string) => typeof (io as Record<string, unknown>)[name] === "function";
  if (typeof io !== "object" || io === null || !wanted.every(has)) {
    throw new WalError(
      "WAL_ARGUMENT",
      `io must be one of ${backendNames().join(", ")}, or a back end, not ${io === null ? "null" : typeof io}`,
    );
  }
}
