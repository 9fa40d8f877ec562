import { readFileSync } from "node:fs";
import type { CampaignName } from "./campaigns.js";

/** A piece of built code and what is put in its place. */
export interface Edit {
  /** Package and module, as in `writer/group-commit`. */
  readonly module: string;
  /** Occurs exactly once in the module as it is built: what is not there any more can't be broken. */
  readonly text: string;
  readonly replacement: string;
}

export function edit(module: string, text: string, replacement: string): Edit {
  return { module, text, replacement };
}

/** A deliberate fault in the log's code. */
export interface Mutant {
  /** What is broken, as a statement; unique. */
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The campaign that has to notice. */
  readonly campaign: CampaignName;
  /** It has to be noticed within this many histories, from seed 1 on. */
  readonly within: number;
  /** Only in the whole gate, though it is noticed soon: what notices it is tried with a mutant like it in the short form. */
  readonly wholeGateOnly?: boolean;
}

/** A mutant that says nothing: its text is not in the code, or is there more than once. */
export class MutantError extends Error {}

const packagesUrl = new URL("../../packages/", import.meta.url);

/** The modules of a mutant as they are to be loaded, by URL. Throws `MutantError`. */
export function mutatedSources({ name, edits }: Pick<Mutant, "name" | "edits">): Map<string, string> {
  const sources = new Map<string, string>();
  for (const { module, text, replacement } of edits) {
    const [inPackage, ...file] = module.split("/");
    const url = new URL(`${inPackage}/dist/${file.join("/")}.js`, packagesUrl);
    const source = sources.get(url.href) ?? readFileSync(url, "utf8");
    const parts = source.split(text);
    if (parts.length !== 2) {
      const found = parts.length === 1 ? "is not there" : `is there ${parts.length - 1} times`;
      throw new MutantError(
        `mutant "${name}" must be brought up to date: its text ${found} in ${module} as built:\n${text}`,
      );
    }
    sources.set(url.href, parts.join(replacement));
  }
  return sources;
}
