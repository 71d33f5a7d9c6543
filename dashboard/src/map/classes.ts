// Speed classes. The speed ratio is the observed space-mean speed over the free-flow speed, and
// the travel time index is its inverse; the limits 0.67, 0.5 and 0.25 are indices of 1.5, 2 and 4.

/** Bytes of a live frame: 0..=250 is the ratio in hundredths, and two values say why there is none. */
export const RATIO_BYTE_MAX = 250;
export const SUPPRESSED = 254;
export const NO_DATA = 255;

export const SPEED_CLASSES = ['free', 'light', 'moderate', 'heavy', 'severe'] as const;
export type SpeedClass = (typeof SPEED_CLASSES)[number];

/** A ratio above LIMITS[i] is of class i or better. */
export const LIMITS = [0.8, 0.67, 0.5, 0.25] as const;
/** The same limits as travel time indices. */
export const INDEX_LIMITS = [1.25, 1.5, 2, 4] as const;

/** Buckets the renderer draws, in this order: what matters most comes last, on top. */
export const BUCKET_NO_DATA = 0;
export const BUCKET_SUPPRESSED = 1;
export const BUCKET_FREE = 2;
export const BUCKETS = BUCKET_FREE + SPEED_CLASSES.length;

export function ratioByte(ratio: number): number {
  return Math.min(RATIO_BYTE_MAX, Math.max(0, Math.round(ratio * 100)));
}

/** Table and map both classify the byte, so that they never disagree at a limit. */
export function bucketOfByte(byte: number): number {
  if (byte === SUPPRESSED) return BUCKET_SUPPRESSED;
  if (byte > RATIO_BYTE_MAX) return BUCKET_NO_DATA;
  if (byte > 80) return BUCKET_FREE;
  if (byte >= 67) return BUCKET_FREE + 1;
  if (byte >= 50) return BUCKET_FREE + 2;
  if (byte >= 25) return BUCKET_FREE + 3;
  return BUCKET_FREE + 4;
}

export function classOfRatio(ratio: number): SpeedClass {
  return SPEED_CLASSES[bucketOfByte(ratioByte(ratio)) - BUCKET_FREE];
}

export const BUCKET_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => bucketOfByte(byte));

/** Main roads first. A class the list does not know is drawn like a residential street. */
const ROAD_RANKS = ['motorway', 'trunk', 'primary', 'secondary', 'tertiary', 'residential', 'service'];
export const RANKS = ROAD_RANKS.length;

export function roadRank(roadClass: string): number {
  const rank = ROAD_RANKS.indexOf(roadClass.replace(/_link$/, ''));
  return rank < 0 ? ROAD_RANKS.indexOf('residential') : rank;
}

export interface Palette {
  ground: string;
  bed: string;
  noData: string;
  suppressed: string;
  stale: string;
  ink: string;
  classes: readonly [string, string, string, string, string];
}

/** Searched palettes: contrast at least 3.28 on their ground, worst pair 13.9 ΔE for colour-blind eyes too. */
export const PALETTES: Record<'light' | 'dark', Palette> = {
  light: {
    ground: '#f6f6f4',
    bed: '#e9e9e5',
    noData: '#a6a9a9',
    suppressed: '#787d80',
    stale: '#a9acae',
    ink: '#14202b',
    classes: ['#6c89ac', '#b17b31', '#ae241d', '#6b1322', '#3b0d30'],
  },
  dark: {
    ground: '#12161b',
    bed: '#1d232b',
    noData: '#56606b',
    suppressed: '#808b97',
    stale: '#59616b',
    ink: '#f2f5f8',
    classes: ['#446c90', '#a1754b', '#fb7b09', '#e7a2a6', '#e2d1f3'],
  },
};
