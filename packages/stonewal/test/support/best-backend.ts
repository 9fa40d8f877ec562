import { uring } from "@stonewal/io-uring";

/** The name of the back end that `auto` picks on this machine. */
export async function bestBackend(): Promise<string> {
  try {
    const io = uring();
    await io.close();
    return io.name;
  } catch {
    return "pwrite";
  }
}
