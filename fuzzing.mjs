/**
 * How a fuzz test runs, for `fc.assert`. In `npm test` it takes `runs` cases and a seed of chance, which a failure prints;
 * `STONEWAL_SEED=n` takes that one again. `STONEWAL_FUZZ=n` takes n times as many cases, for a soak.
 */
export function fuzzing(runs) {
  const { STONEWAL_SEED: seed, STONEWAL_FUZZ: times = "1" } = process.env;
  return {
    seed: seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed),
    numRuns: Math.ceil(runs * Number(times)),
  };
}
