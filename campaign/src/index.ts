export { type Mutation, mutations, tornAllTheSame } from "./broken-backends.js";
export { type CampaignOptions, firstFailure, runHistory } from "./run-history.js";
