// The binary half of a live frame, little endian: "ARL1", f64 window end in ms, u32 window in s,
// u32 count, then one byte a segment (see map/classes.ts for what a byte means).

import { NO_DATA, ratioByte } from '../map/classes';
import type { SegmentColumns } from './contract';

const MAGIC = 0x314c5241;
const HEADER_BYTES = 20;

export interface RatioFrame {
  windowEndMs: number;
  windowS: number;
  ratios: Uint8Array<ArrayBuffer>;
}

/** Throws if the frame is not one of ours: a frame of another length would colour the wrong roads. */
export function decodeFrame(buffer: ArrayBuffer): RatioFrame {
  if (buffer.byteLength < HEADER_BYTES) {
    throw new Error(`live frame of ${buffer.byteLength} bytes is shorter than its header`);
  }
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new Error('live frame does not start with ARL1');
  const count = view.getUint32(16, true);
  if (buffer.byteLength !== HEADER_BYTES + count) {
    throw new Error(`live frame announces ${count} segments in ${buffer.byteLength} bytes`);
  }
  return {
    windowEndMs: view.getFloat64(4, true),
    windowS: view.getUint32(12, true),
    ratios: new Uint8Array(buffer, HEADER_BYTES, count),
  };
}

/** The same bytes from a snapshot, which lists published segments only. */
export function ratiosOfSnapshot(columns: SegmentColumns, count: number): Uint8Array<ArrayBuffer> {
  const ratios = new Uint8Array(count).fill(NO_DATA);
  columns.index.forEach((index, i) => {
    if (index < count) ratios[index] = ratioByte(columns.speed_ratio[i]);
  });
  return ratios;
}
