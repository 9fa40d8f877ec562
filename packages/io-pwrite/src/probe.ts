import type { Capabilities } from "@stonewal/io";
import { complete, errnoName } from "./failure.js";
import { fileSystemName, isRemote } from "./file-systems.js";
import type { DirectoryFacts, NativeAddon } from "./native.js";

/** Assumed where the device says nothing: what drives with 512-byte sectors have inside. */
const UNKNOWN_PHYSICAL_BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;

export async function probeDirectory(native: NativeAddon, directory: string): Promise<Capabilities> {
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
    durableWrite: durableWrite(facts),
  };
}

function durableWrite(facts: DirectoryFacts): string {
  if (process.platform === "darwin") return "F_FULLFSYNC";
  return facts.dsync === 1 ? "RWF_DSYNC (direct), fdatasync (buffered)" : "fdatasync";
}
