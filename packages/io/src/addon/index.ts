/**
 * What back ends that are made of a native addon have in common; the C++ part is in `native/`. Not a stable interface:
 * it goes with the back ends of the same version.
 */
export { AddonBackend, type AddonBackendOptions } from "./backend.js";
export { errnoName } from "./failure.js";
export { type AddonPlace, type AddonSearch, loadAddonFor } from "./load.js";
export type { Done, Handle, NativeAddon, NativeFiles, NativeTransfers } from "./native.js";
