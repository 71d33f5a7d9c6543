import { expect, it } from 'vitest';
import type { NetworkReply } from '../api/contract';
import { clamp, fit, scaleBar, toScreen, toWorld, zoomAt } from './camera';
import { buildGeometry, project, projectionAt, unproject } from './geometry';

const projection = projectionAt([10, 53.5]);

function network(line: number[][]): NetworkReply {
  const n = line.length;
  const segments = {
    id: line.map(String),
    name: Array<null>(n).fill(null),
    class: Array<string>(n).fill('primary'),
    length_m: Array<number>(n).fill(1),
    free_flow_mps: Array<number>(n).fill(10),
    free_flow_basis: Array<string>(n).fill('limit'),
    line,
  };
  return { city: 'test', network: 'test', hash: '00', bbox: [9, 53, 11, 54], center: [10, 53.5], segments };
}

it('projects metres near the centre and back', () => {
  const [x, y] = project(projection, 10.001, 53.5);
  expect(x).toBeCloseTo(66.2, 0);
  expect(y).toBeCloseTo(0, 6);
  const [lon, lat] = unproject(projection, ...project(projection, 10.02, 53.47));
  expect(lon).toBeCloseTo(10.02, 9);
  expect(lat).toBeCloseTo(53.47, 9);
});

it('decodes differences and points normals to the right of travel', () => {
  const g = buildGeometry(network([[10_000_000, 53_500_000, 1000, 0, 1000, 0]]), projection);
  expect([...g.start]).toEqual([0, 3]);
  expect(g.xy[4]).toBeCloseTo(2 * g.xy[2], 2);
  // Eastbound: right is south, which is down the screen.
  for (let v = 0; v < 3; v++) expect([g.normal[2 * v], g.normal[2 * v + 1]].map((n) => Math.round(n * 1e6) / 1e6 + 0)).toEqual([0, 1]);
});

it('knows the two directions of one street', () => {
  const there = [10_000_000, 53_500_000, 1000, 500];
  const back = [10_001_000, 53_500_500, -1000, -500];
  const alone = [10_000_000, 53_500_000, -700, 100];
  expect([...buildGeometry(network([there, back, alone]), projection).twin]).toEqual([1, 1, 0]);
});

it('accepts an empty network', () => {
  expect(buildGeometry(network([]), projection).count).toBe(0);
});

const size = { width: 800, height: 600 };

it('keeps the place under the pointer while zooming', () => {
  const before = { x: 120, y: -40, scale: 0.2 };
  const place = toWorld(before, size, 700, 80);
  const [px, py] = toScreen(zoomAt(before, 1.7, 700, 80, size), size, ...place);
  expect(px).toBeCloseTo(700);
  expect(py).toBeCloseTo(80);
});

it('fits the whole extent and never loses it', () => {
  const extent: [number, number, number, number] = [-1000, -500, 1000, 500];
  const camera = fit(extent, size);
  expect(toScreen(camera, size, -1000, 0)[0]).toBeGreaterThanOrEqual(0);
  expect(clamp({ x: 9e9, y: 0, scale: 1e-9 }, extent, size)).toEqual({ x: 1000, y: 0, scale: camera.scale / 2 });
});

it('labels the scale bar with a round length that fits', () => {
  const bar = scaleBar({ x: 0, y: 0, scale: 0.13 }, 110);
  expect(bar.metres).toBe(500);
  expect(bar.px).toBeCloseTo(65);
});
