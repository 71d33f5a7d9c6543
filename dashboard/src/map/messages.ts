// What the page and the drawing worker say to each other.

import type { Camera, Size } from './camera';
import type { Palette } from './classes';
import type { Geometry } from './geometry';

export type ToWorker =
  | { kind: 'open'; canvas: OffscreenCanvas }
  | { kind: 'network'; geometry: Geometry; names: (string | null)[] }
  | { kind: 'view'; camera: Camera; size: Size; pixelRatio: number }
  | { kind: 'style'; palette: Palette; grey: boolean }
  | { kind: 'frame'; sequence: number; ratios: Uint8Array<ArrayBuffer> }
  | { kind: 'mark'; selected: number | null; hovered: number | null; highlit: number[] }
  | { kind: 'png'; ticket: number }
  | { kind: 'pick'; ticket: number; px: number; py: number; radiusPx: number };

export type FromWorker =
  | { kind: 'drawn'; sequence: number; coloured: number; digest: number }
  | { kind: 'picked'; ticket: number; index: number | null }
  | { kind: 'png'; ticket: number; blob: Blob }
  | { kind: 'failed'; message: string };
