import type { Capabilities } from "../backend.js";
import { complete, errnoName } from "./failure.js";
import { fileSystemName, isRemote } from "./file-systems.js";
import type { DirectoryFacts, NativeAddon } from "./native.js";

/** Assumed where the device says nothing: what drives with 512-byte sectors have inside. */
const UNKNOWN_PHYSICAL_BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;

/** What `Capabilities.durableWrite` says on Linux, given whether a write with RWF_DSYNC works. */
export type DurableWriteName = (dsync: boolean) => string;

export async function probeDirectory(
  native: NativeAddon,
  directory: string,
  durableWrite: DurableWriteName,
): Promise<Capabilities> {
  const facts = await complete<DirectoryFacts>(directory, (done) => native.probe(directory, done));
  const fileSystem = fileSystemName(facts);
  const direct = facts.directAlignment > 0;
  return {
    direct: direct ? { alignment: facts.directAlignment } : undefined,
    directUnavailable: direct
      ? undefined
      : `${fileSystem} in ${directory}: ${facts.directSyscall} failed with ${errnoName(facts.directErrno)}`,
    physicalBlockBytes: Math.max(facts.physicalBlock || UNKNOWN_PHYSICAL_BLOCK_BYTES, SECTOR_BYTES),
    atomicWriteBytes: facts.atomicWriteMax,
    fileSystem,
    remote: isRemote(fileSystem),
    durableWrite: process.platform === "darwin" ? "F_FULLFSYNC" : durableWrite(facts.dsync === 1),
  };
}
