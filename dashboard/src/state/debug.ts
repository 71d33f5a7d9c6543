// What the page shows of itself to end-to-end tests: conditions to wait for instead of pauses.

export interface Debug {
  /** Live frames drawn. */
  readonly frames: number;
  /** Segments with a speed class in the newest drawn frame. */
  readonly coloured: number;
  readonly lastWindowEndMs: number | null;
  /** Digest of all speed classes in the newest drawn frame. */
  readonly digest: number;
}

declare global {
  interface Window {
    readonly __arterial: Debug;
  }
}

let shown: Debug = Object.freeze({ frames: 0, coloured: 0, lastWindowEndMs: null, digest: 0 });

Object.defineProperty(window, '__arterial', { get: () => shown });

export function noteDrawn(drawn: { live: boolean; coloured: number; digest: number; windowEndMs: number }): void {
  const frames = shown.frames + (drawn.live ? 1 : 0);
  shown = Object.freeze({ frames, coloured: drawn.coloured, digest: drawn.digest, lastWindowEndMs: drawn.windowEndMs });
  document.documentElement.dataset.frames = String(frames);
}
