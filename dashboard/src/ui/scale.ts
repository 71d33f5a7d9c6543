// Round numbers on axes, stretches of a series without gaps, and the clock of the city.

/** Round places from at most `low` to at least `high`, about so many. */
export function ticks(low: number, high: number, about: number): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const rough = span / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= rough) ?? rough;
  const places: number[] = [];
  for (let i = Math.floor(low / step + 1e-9); ; i++) {
    places.push(Number((i * step).toPrecision(12)));
    if (i * step >= high - step * 1e-9) return places;
  }
}

/** Indices of values without a gap between them. */
export function runs(values: readonly (number | null)[]): number[][] {
  const found: number[][] = [];
  let run: number[] = [];
  values.forEach((value, i) => {
    if (value !== null) run.push(i);
    else if (run.length > 0) {
      found.push(run);
      run = [];
    }
  });
  if (run.length > 0) found.push(run);
  return found;
}

const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360];

/** Full steps of the clock between two moments, at most so many. */
export function clockTicks(fromMs: number, toMs: number, most: number): number[] {
  const span = (toMs - fromMs) / 60_000;
  const step = (STEPS_MIN.find((s) => span / s <= most) ?? 720) * 60_000;
  const places: number[] = [];
  for (let at = Math.ceil(fromMs / step) * step; at <= toMs; at += step) places.push(at);
  return places;
}
