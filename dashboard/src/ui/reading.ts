// What is known about one segment now: the live ratio at once, the counts from the newest snapshot.

import type { SegmentRow } from '../api/contract';
import { BUCKET_FREE, BUCKET_OF_BYTE, BUCKET_SUPPRESSED, NO_DATA, SPEED_CLASSES, type SpeedClass } from '../map/classes';
import { city, type Roads } from '../state/city.svelte';

export interface Reading {
  index: number;
  roadClass: string;
  lengthM: number;
  freeFlowMps: number;
  /** Why there is no speed, or which class it falls in. */
  state: SpeedClass | 'suppressed' | 'noData';
  ratio: number | null;
  speedMps: number | null;
  row: SegmentRow | null;
  k: number | null;
  windowAgeMs: number | null;
}

export function readingOf(roads: Roads, index: number): Reading {
  const { segments } = roads.network;
  const picture = city.picture;
  const byte = picture?.ratios[index] ?? NO_DATA;
  const bucket = BUCKET_OF_BYTE[byte];
  const published = bucket >= BUCKET_FREE;
  const worst = picture?.worst.find((row) => row.index === index) ?? null;
  const row = published ? (worst ?? city.details?.rows.get(index) ?? null) : null;
  const ratio = published ? (worst?.ratio ?? byte / 100) : null;
  const freeFlowMps = segments.free_flow_mps[index];
  return {
    index,
    roadClass: segments.class[index],
    lengthM: segments.length_m[index],
    freeFlowMps,
    state: published ? SPEED_CLASSES[bucket - BUCKET_FREE] : bucket === BUCKET_SUPPRESSED ? 'suppressed' : 'noData',
    ratio,
    speedMps: worst?.speedMps ?? (ratio === null ? null : ratio * freeFlowMps),
    row,
    k: picture?.head.k ?? null,
    windowAgeMs: city.sinceEventMs(picture?.head.window_end_ms ?? null),
  };
}
