import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CampaignName } from "./campaigns.js";
import type { Mutant } from "./mutant.js";

export interface TrialResult {
  /** `nonsense`: what failed was the mutant as a program, which says nothing about the campaign. */
  readonly outcome: "caught" | "survived" | "nonsense";
  /** How many were run; of `caught`, the last one failed. */
  readonly histories: number;
  /** The first line of the failure. */
  readonly message: string;
}

const PROGRAM = fileURLToPath(new URL("../dist/trial-process.js", import.meta.url));

/** No history takes a fraction of this: what does will never end. */
const MAX_MS = 600_000;

/** Runs `campaign` on the log, with `mutant` in it or, where that is `undefined`, as it is. */
export function runTrial(
  mutant: Mutant | undefined,
  campaign: CampaignName,
  histories: number,
): Promise<TrialResult> {
  const args = [PROGRAM, mutant?.name ?? "", campaign, String(histories)];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: MAX_MS, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (error !== null) {
        const said = stderr.trim().split("\n").at(-1) ?? "";
        return resolve({
          outcome: "nonsense",
          histories,
          message: `${error.message.split("\n")[0]}: ${said}`,
        });
      }
      resolve(JSON.parse(stdout) as TrialResult);
    });
  });
}
