import type { Arbitrary } from "fast-check";

export function fuzzing(runs: number): { seed: number; numRuns: number };

export interface Mutation {
  readonly kind: string;
}
export const mutation: Arbitrary<Mutation>;
export function mutated(
  bytes: Uint8Array,
  mutation: Mutation,
  starts: readonly number[],
): Uint8Array<ArrayBuffer>;

export function allocated(act: () => unknown): Promise<number>;
