// Files for spreadsheets and maps. A cell that a spreadsheet would take for a formula begins with an apostrophe.

import type { SnapshotReply } from '../api/contract';
import type { Roads } from '../state/city.svelte';

export type Cell = string | number | boolean | null | undefined;

export function csv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(name: string, type: string, content: BlobPart): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function saveCsv(name: string, header: readonly string[], rows: readonly (readonly Cell[])[]): void {
  // The mark tells spreadsheets that it is UTF-8.
  save(`${name}.csv`, 'text/csv;charset=utf-8', `\ufeff${csv(header, rows)}`);
}

const COLUMNS = [
  'speed_mps', 'speed_ratio', 'vehicles', 'events', 'delay_veh_h_per_h', 'density_veh_per_km', 'flow_veh_per_h',
  'p15_mps', 'p50_mps', 'p85_mps', 'speed_stderr_mps', 'free_flow_mps', 'free_flow_basis', 'level',
] as const;

const PLACE = ['segment', 'name', 'class', 'length_m', 'window_s', 'window_end', 'k'];

/** Every published segment of a snapshot as a row, in the order of the network. */
export function segmentRows(roads: Roads, reply: SnapshotReply): { header: string[]; rows: Cell[][] } {
  const { segments } = roads.network;
  const end = reply.window_end_ms == null ? null : new Date(reply.window_end_ms).toISOString();
  const rows = reply.segments.index.map((at, i): Cell[] => [
    segments.id[at], segments.name[at], segments.class[at], segments.length_m[at], reply.window_s, end, reply.k,
    ...COLUMNS.map((name) => reply.segments[name][i]),
  ]);
  return { header: [...PLACE, ...COLUMNS], rows };
}

export function geojson(roads: Roads, reply: SnapshotReply): string {
  const { header, rows } = segmentRows(roads, reply);
  const features = rows.map((row, i) => ({
    type: 'Feature',
    geometry: { type: 'LineString', coordinates: coordinates(roads.network.segments.line[reply.segments.index[i]]) },
    properties: Object.fromEntries(header.map((name, j) => [name, row[j] ?? null])),
  }));
  return JSON.stringify({ type: 'FeatureCollection', features });
}

function coordinates(line: readonly number[]): [number, number][] {
  const points: [number, number][] = [];
  let [lon, lat] = [0, 0];
  for (let i = 0; i + 1 < line.length; i += 2) {
    lon += line[i];
    lat += line[i + 1];
    points.push([lon / 1e6, lat / 1e6]);
  }
  return points;
}
