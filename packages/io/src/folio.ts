/**
 * What a kernel is supposed to write back as a whole, at most, though one block of it is dirty. A power cut may tear any of it. So what has no other copy
 * doesn't share such a piece of a file with what is being written. In bytes.
 */
export const FOLIO_BYTES = 65_536;
