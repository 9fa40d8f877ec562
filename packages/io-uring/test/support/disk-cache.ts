import { existsSync, readFileSync, statSync } from "node:fs";
import { scratchRoot } from "./subject.js";

/** Whether the disk of the scratch files has a cache of its own, and no writes past it: a durable write has to flush it. */
export function flushesBehindWrites(): boolean {
  const { dev } = statSync(scratchRoot);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const fact = (name: string) => {
    const path = ["queue", "../queue"]
      .map((queue) => `/sys/dev/block/${major}:${minor}/${queue}/${name}`)
      .find((candidate) => existsSync(candidate));
    return path === undefined ? undefined : readFileSync(path, "utf8").trim();
  };
  return fact("write_cache") !== "write through" && fact("fua") !== "1";
}
