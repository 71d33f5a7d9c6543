// What the page shows of itself to end-to-end tests and the benchmark: conditions to wait for instead of pauses.

export interface Debug {
  /** Live frames drawn. */
  readonly frames: number;
  /** Drawings of the map, for whatever reason. */
  readonly draws: number;
  /** Segments with a speed class in the newest drawn frame. */
  readonly coloured: number;
  /** When the first of them was drawn, since navigation. */
  readonly colouredAtMs: number | null;
  readonly lastWindowEndMs: number | null;
  /** Digest of all speed classes in the newest drawn frame. */
  readonly digest: number;
}

declare global {
  interface Window {
    readonly __arterial: Debug;
  }
}

let shown: Debug = Object.freeze({ frames: 0, draws: 0, coloured: 0, colouredAtMs: null, lastWindowEndMs: null, digest: 0 });

Object.defineProperty(window, '__arterial', { get: () => shown });

export function noteDrawn(drawn: { live: boolean; coloured: number; digest: number; windowEndMs: number }): void {
  const frames = shown.frames + (drawn.live ? 1 : 0);
  const colouredAtMs = shown.colouredAtMs ?? (drawn.coloured > 0 ? performance.now() : null);
  shown = Object.freeze({ ...shown, frames, coloured: drawn.coloured, colouredAtMs, digest: drawn.digest, lastWindowEndMs: drawn.windowEndMs });
  document.documentElement.dataset.frames = String(frames);
}

/** A drawing of the map, of a new frame or not. */
export function noteDraw(): void {
  shown = Object.freeze({ ...shown, draws: shown.draws + 1 });
}
