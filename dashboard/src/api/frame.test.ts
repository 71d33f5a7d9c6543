import { describe, expect, it } from 'vitest';
import { NO_DATA } from '../map/classes';
import { freshness } from '../state/freshness';
import { backoffMs } from './backoff';
import { type SegmentColumns, slowest } from './contract';
import { decodeFrame, ratiosOfSnapshot } from './frame';

function frame(ratios: number[], announced = ratios.length, magic = 'ARL1'): ArrayBuffer {
  const buffer = new ArrayBuffer(20 + ratios.length);
  const view = new DataView(buffer);
  [...magic].forEach((letter, i) => view.setUint8(i, letter.charCodeAt(0)));
  view.setFloat64(4, 1_700_000_000_000, true);
  view.setUint32(12, 60, true);
  view.setUint32(16, announced, true);
  new Uint8Array(buffer, 20).set(ratios);
  return buffer;
}

function columns(index: number[], ratio: number[]): SegmentColumns {
  const zeros = index.map(() => 0);
  return {
    index,
    speed_ratio: ratio,
    speed_mps: zeros,
    vehicles: zeros,
    delay_veh_h_per_h: zeros,
    density_veh_per_km: zeros,
    flow_veh_per_h: zeros,
    level: index.map(() => 'free'),
    events: zeros,
    p15_mps: zeros,
    p50_mps: zeros,
    p85_mps: zeros,
    speed_stderr_mps: zeros,
    free_flow_mps: zeros,
    free_flow_basis: index.map(() => 'limit'),
  };
}

describe('live frame', () => {
  it('decodes what the server writes', () => {
    const decoded = decodeFrame(frame([0, 80, 254, 255]));
    expect(decoded).toMatchObject({ windowEndMs: 1_700_000_000_000, windowS: 60 });
    expect([...decoded.ratios]).toEqual([0, 80, 254, 255]);
  });

  it.each([
    ['a foreign start', frame([1], 1, 'ARL2')],
    ['a wrong count', frame([1, 2], 3)],
    ['half a header', new ArrayBuffer(11)],
  ])('refuses %s', (_, buffer) => {
    expect(() => decodeFrame(buffer)).toThrow();
  });
});

it('turns a snapshot into the same bytes and leaves unpublished segments without data', () => {
  expect([...ratiosOfSnapshot(columns([2, 0, 9], [0.5, 1.234, 1]), 4)]).toEqual([123, NO_DATA, 50, NO_DATA]);
});

it('ranks by ratio and settles ties by index', () => {
  const rows = slowest(columns([7, 3, 5, 1], [0.4, 0.2, 0.4, 0.9]), 3);
  expect(rows.map((row) => row.index)).toEqual([3, 5, 7]);
});

it('backs off further each time, with jitter, up to a ceiling', () => {
  expect(backoffMs(0, 0)).toBe(250);
  expect(backoffMs(0, 1)).toBe(500);
  expect(backoffMs(3, 1)).toBe(4000);
  expect(backoffMs(99, 1)).toBe(20_000);
});

it.each([
  [0, 'fresh'],
  [3_000, 'fresh'],
  [3_001, 'stale'],
  [30_001, 'old'],
])('calls figures of %s ms %s', (age, expected) => {
  expect(freshness(age)).toBe(expected);
});
