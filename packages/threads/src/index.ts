export { type AttachedLog, attachLog } from "./attached-log.js";
export type { LinkOptions, LogLink } from "./link.js";
export { SharedLog } from "./shared-log.js";
