// The shapes the server writes under /api/v1. Every list that describes segments is columnar:
// entry i of each column belongs to the same segment.

/** The live windows, seconds. */
export const WINDOWS = [60, 300, 900, 3600] as const;
export type WindowS = (typeof WINDOWS)[number];

export interface NetworkReply {
  city: string;
  network: string;
  hash: string;
  bbox: [west: number, south: number, east: number, north: number];
  center: [lon: number, lat: number];
  segments: {
    id: string[];
    name: (string | null)[];
    class: string[];
    length_m: number[];
    free_flow_mps: number[];
    /** Points in 1e-6 degrees: the first absolute, each later one as a difference. */
    line: number[][];
  };
}

export interface SegmentColumns {
  index: number[];
  speed_mps: number[];
  speed_ratio: number[];
  vehicles: number[];
  delay_veh_h_per_h: number[];
  density_veh_per_km: number[];
  flow_veh_per_h: number[];
  level: string[];
}

export interface CityFigures {
  speed_mps: number | null;
  travel_time_index: number | null;
  delay_veh_h_per_h: number | null;
  vehicles: number;
  events: number;
  observed_length_share: number;
  newest_observation_ms: number | null;
  segments_published: number;
  segments_suppressed: number;
}

export interface Fates {
  received: number;
  accepted: number;
  duplicate: number;
  rejected: number;
}

/** What a snapshot and the text half of a live frame share. */
export interface Head {
  window_s: number;
  window_end_ms: number;
  published_ms: number;
  /** Fewest vehicles a segment needs before its figures are published. */
  k: number;
  city: CityFigures;
  fates: Fates | null;
}

export interface SnapshotReply extends Head {
  segments: SegmentColumns;
}

export interface LiveHead extends Head {
  worst: SegmentColumns;
}

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
