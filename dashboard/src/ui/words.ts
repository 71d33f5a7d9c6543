// Names the page composes: of a segment and of a road class.

import type { Key } from '../i18n/catalogue';
import { en } from '../i18n/en';
import { city, type Roads } from '../state/city.svelte';
import { ui } from '../state/ui.svelte';

export function segmentName(roads: Roads, index: number): string {
  const { name, id } = roads.network.segments;
  return name[index] ?? ui.t('segment.unnamed', { id: id[index].slice(0, 8) });
}

/** Compass direction from the first to the last point, in eight steps. */
export function direction(roads: Roads, index: number): string {
  const { start, xy } = roads.geometry;
  const from = 2 * start[index];
  const to = 2 * (start[index + 1] - 1);
  const clockwise = Math.atan2(xy[to] - xy[from], xy[from + 1] - xy[to + 1]);
  const step = (Math.round(clockwise / (Math.PI / 4)) + 8) % 8;
  return ui.t(`compass.${step}` as Key);
}

/** A class the catalogue does not know is shown as the server wrote it. */
export function roadClassName(roadClass: string): string {
  const key = `road.${roadClass.replace(/_link$/, '')}`;
  return key in en ? ui.t(key as Key) : roadClass;
}

/** The name of a segment by its id; the id where the network has none. */
export function nameOfId(id: string): string {
  const roads = city.roads;
  const index = roads?.indexOf.get(id);
  return roads && index !== undefined ? segmentName(roads, index) : ui.t('segment.unnamed', { id: id.slice(0, 8) });
}
