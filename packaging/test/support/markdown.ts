import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "./workspace.js";

/** The code blocks of a page of the workspace, in order, that are marked with this language. */
export function codeBlocks(page: string, language: string): string[] {
  const text = readFileSync(path.join(root, page), "utf8");
  const blocks = text.matchAll(/^```(\S*)\n(.*?)^```$/gms);
  return [...blocks].filter((match) => match[1] === language).map((match) => match[2] as string);
}
