import type { CampaignName } from "../campaigns.js";
import type { Bounds } from "../exhaustive.js";

/** What a worker is asked to do. */
export type Task =
  | {
      readonly kind: "history";
      readonly campaign: CampaignName;
      readonly seed: number;
      readonly broken?: string;
    }
  | { readonly kind: "scenario"; readonly index: number; readonly bounds: Bounds; readonly broken?: string };

/** What came of it. */
export interface TaskResult {
  readonly counts: Readonly<Record<string, number>>;
  /** What somebody needs who wants to know why, if the log has broken its promise. */
  readonly failure?: string;
}
