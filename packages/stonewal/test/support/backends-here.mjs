import { uring } from "@stonewal/io-uring";

/** The back ends that work on this machine, the one that `auto` picks first. */
export async function backendsHere() {
  try {
    await uring().close();
    return ["io-uring", "pwrite"];
  } catch (error) {
    if (error.code !== "IO_UNSUPPORTED") throw error;
    return ["pwrite"];
  }
}
