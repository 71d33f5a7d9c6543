// How far the newest figures can be trusted, by their age on the wall clock.

export type Freshness = 'fresh' | 'stale' | 'old';

export const STALE_MS = 3_000;
export const OLD_MS = 30_000;

export function freshness(ageMs: number): Freshness {
  if (ageMs > OLD_MS) return 'old';
  return ageMs > STALE_MS ? 'stale' : 'fresh';
}
