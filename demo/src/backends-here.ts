import { type BackendName, backendNames, IoError, openReader, RecoveryError } from "stonewal";

/** The back ends that work here, after a line on each that doesn't. `directory`: one in which no log is. */
export async function backendsHere(directory: string): Promise<BackendName[]> {
  const working: BackendName[] = [];
  for (const name of backendNames().filter((known) => known !== "auto") as BackendName[]) {
    const reason = await whyNot(name, directory);
    if (reason === undefined) working.push(name);
    else console.log(`without ${name}: ${reason}`);
  }
  return working;
}

/** A reader is opened on a log that isn't there: where that is all that is wrong, the back end works. */
async function whyNot(io: BackendName, dir: string): Promise<string | undefined> {
  try {
    await (await openReader({ dir, io })).close();
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_UNSUPPORTED") return error.message;
    if (!(error instanceof RecoveryError) || error.code !== "WAL_NOT_FOUND") throw error;
  }
  return undefined;
}
