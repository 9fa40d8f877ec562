import { channel } from "node:diagnostics_channel";

/**
 * `stonewal:backend`: { directory, name, tried }: a back end was made for the log in `directory`. `tried` holds, as { name, error },
 * what `auto` would have preferred and could not have. The log's own channels are `channels`.
 */
export const backendChannel = channel("stonewal:backend");
