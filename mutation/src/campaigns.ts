import { type CampaignName as RandomCampaign, runHistory } from "stonewal-campaign";
import { acknowledgeByCopies } from "./campaigns/acknowledging-copies.js";
import { attackDisk } from "./campaigns/attacks.js";
import { keepBackEndPromises } from "./campaigns/back-end-promises.js";
import { damageOnePlace } from "./campaigns/damage.js";
import { copyFrames } from "./campaigns/frame-copies.js";
import { failAndKill } from "./campaigns/killed.js";
import { crashAtAnchor, crashAtCut, crashAtMarkedStep } from "./campaigns/marked-steps.js";
import { overtakeVoid } from "./campaigns/overtaken-void.js";
import { refuseWrongCalls } from "./campaigns/refusals.js";
import { keepSecrets } from "./campaigns/secrets.js";
import { tearFolios } from "./campaigns/torn-folios.js";
import { tearGroups } from "./campaigns/torn-groups.js";
import { tearPages } from "./campaigns/torn-pages.js";

/** Histories made for what random ones seldom meet. */
const TARGETED = {
  "power cuts at rare steps": crashAtMarkedStep,
  "power cuts while the anchor is written": crashAtAnchor,
  "power cuts while the log is cut": crashAtCut,
  "power cuts in groups of frames": tearGroups,
  "folios torn by the kernel": tearFolios,
  "one damaged place": damageOnePlace,
  "failures and kills": failAndKill,
  "torn pages": tearPages,
  "a void that the ring overtakes": overtakeVoid,
  "copies of frames": copyFrames,
  "commits acknowledged by their copies": acknowledgeByCopies,
  "promises of a back end": keepBackEndPromises,
  secrets: keepSecrets,
  "an attacker with the disk": attackDisk,
  "wrong keys and older copies": refuseWrongCalls,
} satisfies Record<string, (seed: number) => Promise<void>>;

/** What may be run against a mutant: the random campaigns, and the targeted ones. */
export type CampaignName = RandomCampaign | keyof typeof TARGETED;

/** One that only the mutants have; the random ones are run on the log as it is by their own tests, with more seeds. */
export function isTargeted(campaign: CampaignName): boolean {
  return campaign in TARGETED;
}

/** Runs the history of one seed. Rejects if the log broke a promise. */
export async function runCampaign(campaign: CampaignName, seed: number): Promise<void> {
  if (isTargeted(campaign)) await TARGETED[campaign as keyof typeof TARGETED](seed);
  else await runHistory(campaign as RandomCampaign, seed);
}
