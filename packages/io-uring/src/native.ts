import type { Done, Handle, NativeAddon, NativeFiles } from "@stonewal/io/addon";

/** A ring of the addon: opaque, and closed when it is collected. */
export type RingHandle = { readonly __ring: unique symbol };

export type OpenedRing =
  | readonly [ring: RingHandle, mode: string]
  | readonly [ring: undefined, errno: number, syscall: string, missing: string];

/** native/addon.cc. Every call is to be made on the thread that opened the ring. */
export interface UringAddon extends NativeFiles {
  openRing(entries: number): OpenedRing;
  /** Closes the ring; afterwards every call throws. */
  end(ring: RingHandle): void;
  submit(
    ring: RingHandle,
    files: readonly Handle[],
    arenas: readonly (Uint8Array | undefined)[],
    steps: Float64Array,
    count: number,
    done: Done<undefined>,
  ): number;
  submitNow(
    ring: RingHandle,
    files: readonly Handle[],
    arenas: readonly (Uint8Array | undefined)[],
    steps: Float64Array,
    count: number,
    done: Done<undefined>,
  ): void;
  finish(ring: RingHandle, chain: number): void;
  read(
    ring: RingHandle,
    file: Handle,
    bytes: Uint8Array,
    start: number,
    length: number,
    offset: number,
    done: Done<number>,
  ): void;
  writeZeros(ring: RingHandle, file: Handle, offset: number, length: number, done: Done<undefined>): void;
  sync(ring: RingHandle, file: Handle, done: Done<undefined>): void;
  /** Before `close`: a ring keeps the files open that are registered with it. */
  forget(ring: RingHandle, file: Handle): void;
}

/** The addon as a back end sees it, with a ring of its own. */
export function withRing(addon: UringAddon, ring: RingHandle): NativeAddon {
  return {
    ...addon,
    submit: (files, arenas, steps, count, done) => addon.submit(ring, files, arenas, steps, count, done),
    submitNow: (files, arenas, steps, count, done) =>
      addon.submitNow(ring, files, arenas, steps, count, done),
    finish: (chain) => addon.finish(ring, chain),
    read: (file, bytes, start, length, offset, done) =>
      addon.read(ring, file, bytes, start, length, offset, done),
    writeZeros: (file, offset, length, done) => addon.writeZeros(ring, file, offset, length, done),
    sync: (file, done) => addon.sync(ring, file, done),
    close(file, done) {
      addon.forget(ring, file);
      addon.close(file, done);
    },
    end: () => addon.end(ring),
  };
}
