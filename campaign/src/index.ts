export { type Mutation, mutations, tornAllTheSame } from "./broken-backends.js";
export { CAMPAIGNS, type CampaignName, type HistoryResult, runHistory } from "./campaigns.js";
export { HistoryFailure } from "./failure.js";
