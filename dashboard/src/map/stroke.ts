// How wide a segment is drawn, how far from its axis, and whether it is drawn at all.
// Drawing and hit testing both ask here, so that one clicks what one sees.

import { BUCKET_FREE, BUCKET_SUPPRESSED } from './classes';
import type { Geometry } from './geometry';

/** CSS pixels by road rank at 10 m to the pixel. */
const BASE_PX = [3.6, 3.3, 2.9, 2.3, 1.9, 1.5, 1.0];

/** Congestion also widens a line, so that colour is never the only sign. */
const WIDENING = [0.55, 0.6, 1, 1.15, 1.4, 1.75, 2.1];

/** Smallest scale, in pixels per metre, at which a rank is drawn. */
const SCALE_MIN = [0, 0, 0, 0.004, 0.012, 0.03, 0.09];

export function visible(rank: number, scale: number): boolean {
  return scale >= SCALE_MIN[rank];
}

export function bedPx(rank: number, scale: number, twin: boolean): number {
  const zoom = Math.min(3, Math.max(0.5, (scale / 0.1) ** 0.42));
  return BASE_PX[rank] * zoom * (twin ? 1 : 1.35);
}

export function linePx(rank: number, bucket: number, scale: number, twin: boolean): number {
  return Math.max(0.9, bedPx(rank, scale, twin) * WIDENING[bucket]);
}

export function offsetPx(widthPx: number, twin: boolean): number {
  return twin ? widthPx / 2 + 0.5 : 0;
}

export function dash(bucket: number, widthPx: number): number[] {
  if (bucket >= BUCKET_FREE) return [];
  return bucket === BUCKET_SUPPRESSED ? [0, 2.4 * widthPx] : [3 + widthPx, 3 + 1.5 * widthPx];
}

/** Squared distance in pixels from a place in the world to a drawn segment. */
export function squaredDistancePx(
  g: Geometry,
  index: number,
  x: number,
  y: number,
  scale: number,
  offset: number,
): number {
  let best = Infinity;
  const shift = offset / scale;
  for (let v = g.start[index]; v + 1 < g.start[index + 1]; v++) {
    const ax = g.xy[2 * v] + g.normal[2 * v] * shift;
    const ay = g.xy[2 * v + 1] + g.normal[2 * v + 1] * shift;
    const dx = g.xy[2 * v + 2] + g.normal[2 * v + 2] * shift - ax;
    const dy = g.xy[2 * v + 3] + g.normal[2 * v + 3] * shift - ay;
    const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    best = Math.min(best, (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2);
  }
  return best * scale * scale;
}
