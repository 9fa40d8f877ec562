// One log for many worker threads.
export { type AttachedLog, attachLog, type LinkOptions, type LogLink, SharedLog } from "@stonewal/threads";
