export { type Mutation, mutations, tornAllTheSame } from "./broken-backends.js";
export { CAMPAIGNS, type CampaignName, type HistoryResult, runHistory } from "./campaigns.js";
export { type Bounds, type Exhaustion, exhaust, type Scenario } from "./exhaustive.js";
export { HistoryFailure } from "./failure.js";
export { Ledger } from "./ledger.js";
export { Random } from "./random.js";
export { SCENARIOS } from "./scenarios.js";
