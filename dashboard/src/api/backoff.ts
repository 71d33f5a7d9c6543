// Pause before the next attempt to reconnect: doubles up to a ceiling, with jitter over its upper
// half so that a thousand pages do not return in the same instant after a restart.

const FIRST_MS = 500;
const CEILING_MS = 20_000;

export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(CEILING_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(full * (0.5 + 0.5 * random));
}
