// The shapes the server writes under /api/v1, by the names of its OpenAPI document (schema.d.ts is generated from it:
// `npm run types`). Every list that describes segments is columnar: entry i of each column belongs to the same segment.

import type { components } from './schema';

type Shapes = components['schemas'];

/** The live windows, seconds. */
export const WINDOWS = [60, 300, 900, 3600] as const;
export type WindowS = (typeof WINDOWS)[number];

export type NetworkReply = Shapes['Network'];
export type SegmentColumns = Shapes['SegmentColumns'];
export type SnapshotReply = Shapes['Snapshot'];
export type LiveHead = Shapes['LiveFrame'];
export type Explanation = Shapes['Explanation'];
export type Areas = Shapes['Areas'];
export type AreaRow = Shapes['AreaRow'];
export type Bottlenecks = Shapes['Bottlenecks'];
export type Incidents = Shapes['Incidents'];
export type Signals = Shapes['Signals'];
export type Phase = Shapes['Phase'];
export type Cycle = Shapes['Cycle'];
export type Detectors = Shapes['Detectors'];
export type Detector = Shapes['Detector'];
export type Quality = Shapes['Quality'];
export type Recent = Shapes['Recent'];
export type SpaceTime = Shapes['SpaceTime'];
export type Series = Shapes['Series'];
export type Attached = Shapes['Attached'];
export type Replay = Shapes['Replay'];
export type Days = Shapes['Days'];
export type TypicalDay = Shapes['TypicalDay'];
export type Interval = Shapes['Interval'];
export type Ranking = Shapes['Ranking'];
export type Ranked = Shapes['Ranked'];
export type Comparison = Shapes['Comparison'];
export type Recurring = Shapes['Recurring'];
export type QualityDays = Shapes['QualityDays'];

/** What a snapshot and the text half of a live frame share. */
export type Head = Omit<LiveHead, 'worst'>;

/** One published segment, as a row. */
export interface SegmentRow {
  index: number;
  speedMps: number;
  ratio: number;
  vehicles: number;
  delayVehHPerH: number;
  densityVehPerKm: number;
  flowVehPerH: number;
}

export function rowAt(columns: SegmentColumns, i: number): SegmentRow {
  return {
    index: columns.index[i],
    speedMps: columns.speed_mps[i],
    ratio: columns.speed_ratio[i],
    vehicles: columns.vehicles[i],
    delayVehHPerH: columns.delay_veh_h_per_h[i],
    densityVehPerKm: columns.density_veh_per_km[i],
    flowVehPerH: columns.flow_veh_per_h[i],
  };
}

/** The slowest rows, smallest speed ratio first; equal ratios by index so that rows do not swap. */
export function slowest(columns: SegmentColumns, count: number): SegmentRow[] {
  const order = columns.index.map((_, i) => i);
  order.sort(
    (a, b) => columns.speed_ratio[a] - columns.speed_ratio[b] || columns.index[a] - columns.index[b],
  );
  return order.slice(0, count).map((i) => rowAt(columns, i));
}
