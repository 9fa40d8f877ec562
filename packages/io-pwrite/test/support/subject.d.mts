import type { ConformanceSubject } from "@stonewal/io/conformance";

export const scratchRoot: string;
export function subject(control?: string): Promise<ConformanceSubject>;
