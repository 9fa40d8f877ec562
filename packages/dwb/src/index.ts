export { dwbBytesWritten } from "./counters.js";
export type { ReadDwbOptions } from "./device.js";
export {
  type Dwb,
  type DwbBatch,
  type DwbInput,
  type DwbMode,
  type DwbOptions,
  type DwbStats,
  openDwb,
} from "./dwb.js";
export { DwbError, type DwbErrorCode } from "./errors.js";
export type { DwbGeometry } from "./geometry.js";
export type { DwbImage, DwbImages } from "./images.js";
export { readDwb } from "./read.js";
export type { DwbTicket } from "./ring.js";
