export { dwbBytesWritten } from "./counters.js";
export type { ReadDwbOptions } from "./device.js";
export type { Dwb, DwbBatch, DwbInput, DwbStats } from "./dwb.js";
export { DwbError, type DwbErrorCode } from "./errors.js";
export type { DwbGeometry } from "./geometry.js";
export type { DwbImage, DwbImages } from "./images.js";
export { type DwbMode, type DwbOptions, openDwb } from "./open.js";
export { readDwb } from "./read.js";
export type { DwbTicket } from "./ring.js";
