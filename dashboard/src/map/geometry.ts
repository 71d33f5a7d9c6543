// From the network reply to flat arrays the renderer can walk. Coordinates are Web Mercator
// scaled to metres at the network's centre, x to the east and y down the screen.

import type { NetworkReply } from '../api/contract';
import { roadRank } from './classes';

const EARTH_RADIUS_M = 6_378_137;
const RAD = Math.PI / 180;

export interface Projection {
  lon0: number;
  mercator0: number;
  metres: number;
}

export function projectionAt([lon, lat]: [number, number]): Projection {
  return { lon0: lon, mercator0: mercator(lat), metres: EARTH_RADIUS_M * Math.cos(lat * RAD) };
}

export function project(p: Projection, lon: number, lat: number): [x: number, y: number] {
  return [(lon - p.lon0) * RAD * p.metres, (p.mercator0 - mercator(lat)) * p.metres];
}

export function unproject(p: Projection, x: number, y: number): [lon: number, lat: number] {
  const lat = 2 * Math.atan(Math.exp(p.mercator0 - y / p.metres)) - Math.PI / 2;
  return [p.lon0 + x / p.metres / RAD, lat / RAD];
}

function mercator(lat: number): number {
  return Math.log(Math.tan(Math.PI / 4 + (lat * RAD) / 2));
}

export interface Geometry {
  count: number;
  /** Vertices of segment i are start[i]..start[i + 1]; vertex v is at xy[2v], xy[2v + 1]. */
  start: Uint32Array<ArrayBuffer>;
  xy: Float32Array<ArrayBuffer>;
  /** To the right of travel, lengthened at bends so that an offset line keeps its distance. */
  normal: Float32Array<ArrayBuffer>;
  /** West, top, east, bottom of each segment. */
  box: Float32Array<ArrayBuffer>;
  rank: Uint8Array<ArrayBuffer>;
  /** 1 if the opposite direction is a segment too: such a line is drawn to the right of its axis. */
  twin: Uint8Array<ArrayBuffer>;
  extent: [west: number, top: number, east: number, bottom: number];
}

export function buildGeometry(network: NetworkReply, projection: Projection): Geometry {
  const { line, class: roadClass } = network.segments;
  const count = line.length;
  const start = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) start[i + 1] = start[i] + (line[i].length >> 1);
  const xy = new Float32Array(2 * start[count]);
  const normal = new Float32Array(xy.length);
  const box = new Float32Array(4 * count);
  const extent: Geometry['extent'] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < count; i++) {
    placeLine(projection, line[i], xy, start[i]);
    placeNormals(xy, normal, start[i], start[i + 1]);
    const b = boxOf(xy, start[i], start[i + 1]);
    box.set(b, 4 * i);
    extent[0] = Math.min(extent[0], b[0]);
    extent[1] = Math.min(extent[1], b[1]);
    extent[2] = Math.max(extent[2], b[2]);
    extent[3] = Math.max(extent[3], b[3]);
  }
  const rank = Uint8Array.from(roadClass, roadRank);
  return { count, start, xy, normal, box, rank, twin: findTwins(line), extent };
}

function placeLine(p: Projection, line: number[], xy: Float32Array, first: number): void {
  let lon = 0;
  let lat = 0;
  for (let j = 0; j + 1 < line.length; j += 2) {
    lon += line[j];
    lat += line[j + 1];
    const [x, y] = project(p, lon / 1e6, lat / 1e6);
    xy[2 * first + j] = x;
    xy[2 * first + j + 1] = y;
  }
}

function placeNormals(xy: Float32Array, normal: Float32Array, from: number, to: number): void {
  let before: [number, number] | null = null;
  for (let v = from; v < to; v++) {
    const after: [number, number] | null = v + 1 < to ? rightOf(xy, v) : null;
    const a = before ?? after ?? [0, 0];
    const b = after ?? a;
    const sx = a[0] + b[0];
    const sy = a[1] + b[1];
    const squared = sx * sx + sy * sy;
    // Exact at gentle bends; at hairpins the miter is cut at twice the offset.
    const scale = squared > 1e-6 ? Math.min(2 / squared, 2 / Math.sqrt(squared)) : 0;
    normal[2 * v] = sx * scale;
    normal[2 * v + 1] = sy * scale;
    before = after ?? before;
  }
}

function rightOf(xy: Float32Array, v: number): [number, number] {
  const dx = xy[2 * v + 2] - xy[2 * v];
  const dy = xy[2 * v + 3] - xy[2 * v + 1];
  const length = Math.hypot(dx, dy) || 1;
  return [-dy / length, dx / length];
}

function boxOf(xy: Float32Array, from: number, to: number): [number, number, number, number] {
  const b: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let v = from; v < to; v++) {
    b[0] = Math.min(b[0], xy[2 * v]);
    b[1] = Math.min(b[1], xy[2 * v + 1]);
    b[2] = Math.max(b[2], xy[2 * v]);
    b[3] = Math.max(b[3], xy[2 * v + 1]);
  }
  return b;
}

/** Two segments are twins if one runs from B to A where the other runs from A to B with as many points. */
function findTwins(line: number[][]): Uint8Array<ArrayBuffer> {
  const ends = line.map((points) => {
    let lon = 0;
    let lat = 0;
    for (let j = 0; j + 1 < points.length; j += 2) {
      lon += points[j];
      lat += points[j + 1];
    }
    return [`${points[0]},${points[1]}`, `${lon},${lat}`, points.length] as const;
  });
  const keys = new Set(ends.map(([a, b, n]) => `${a} ${b} ${n}`));
  return Uint8Array.from(ends, ([a, b, n]) => (keys.has(`${b} ${a} ${n}`) ? 1 : 0));
}
