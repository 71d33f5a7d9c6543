// Street names, set beside their street where there is room. Main roads choose first.

import { toScreen } from './camera';
import type { Context, Scene } from './draw';
import { bedPx } from './stroke';

const FONT = '500 11px system-ui, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif';
const LABELS_MAX = 60;
const SAME_NAME_APART_PX = 320;
/** Pixels per metre from which main roads, then all roads, are named. */
const SCALE_MAIN = 0.07;
const SCALE_ALL = 0.3;
const MAIN_RANK = 3;

type Placed = { x: number; y: number; halfWidth: number; halfHeight: number; name: string };

/** Bounded by emptying it: names come from one network, so it rarely fills. */
const widths = new Map<string, number>();
const WIDTHS_MAX = 5_000;

export function drawLabels(ctx: Context, scene: Scene, inView: number[]): void {
  if (scene.camera.scale < SCALE_MAIN) return;
  const { rank } = scene.geometry;
  const all = scene.camera.scale >= SCALE_ALL;
  const named = inView.filter((i) => scene.names[i] && (all || rank[i] <= MAIN_RANK));
  named.sort((a, b) => rank[a] - rank[b] || a - b);
  ctx.font = FONT;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.lineWidth = 3;
  ctx.strokeStyle = scene.palette.ground;
  ctx.fillStyle = scene.palette.ink;
  const placed: Placed[] = [];
  for (const index of named) {
    if (placed.length >= LABELS_MAX) break;
    placeLabel(ctx, scene, index, placed);
  }
}

function placeLabel(ctx: Context, scene: Scene, index: number, placed: Placed[]): void {
  const name = scene.names[index] ?? '';
  const edge = longestEdge(scene, index);
  if (!edge) return;
  let [ax, ay, bx, by] = edge;
  const width = textWidth(ctx, name);
  if (Math.hypot(bx - ax, by - ay) < width + 8) return;
  if (bx < ax || (bx === ax && by > ay)) [ax, ay, bx, by] = [bx, by, ax, ay];
  const angle = Math.atan2(by - ay, bx - ax);
  const isTwin = scene.geometry.twin[index] === 1;
  const bed = bedPx(scene.geometry.rank[index], scene.camera.scale, isTwin);
  const away = (isTwin ? bed : bed / 2) + 9;
  const x = (ax + bx) / 2 + Math.sin(angle) * away;
  const y = (ay + by) / 2 - Math.cos(angle) * away;
  const halfWidth = (Math.abs(Math.cos(angle)) * width + Math.abs(Math.sin(angle)) * 14) / 2;
  const halfHeight = (Math.abs(Math.sin(angle)) * width + Math.abs(Math.cos(angle)) * 14) / 2;
  const here: Placed = { x, y, halfWidth, halfHeight, name };
  if (placed.some((other) => collides(here, other))) return;
  placed.push(here);
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(angle);
  ctx.strokeText(name, 0, 0);
  ctx.fillText(name, 0, 0);
  ctx.restore();
}

function collides(a: Placed, b: Placed): boolean {
  const dx = Math.abs(a.x - b.x);
  const dy = Math.abs(a.y - b.y);
  if (a.name === b.name && dx + dy < SAME_NAME_APART_PX) return true;
  return dx < a.halfWidth + b.halfWidth + 4 && dy < a.halfHeight + b.halfHeight + 4;
}

function longestEdge(scene: Scene, index: number): [number, number, number, number] | null {
  const { start, xy } = scene.geometry;
  let best: [number, number, number, number] | null = null;
  let longest = 0;
  for (let v = start[index]; v + 1 < start[index + 1]; v++) {
    const length = Math.hypot(xy[2 * v + 2] - xy[2 * v], xy[2 * v + 3] - xy[2 * v + 1]);
    if (length <= longest) continue;
    longest = length;
    best = [
      ...toScreen(scene.camera, scene.size, xy[2 * v], xy[2 * v + 1]),
      ...toScreen(scene.camera, scene.size, xy[2 * v + 2], xy[2 * v + 3]),
    ];
  }
  return best;
}

function textWidth(ctx: Context, name: string): number {
  let width = widths.get(name);
  if (width === undefined) {
    if (widths.size >= WIDTHS_MAX) widths.clear();
    width = ctx.measureText(name).width;
    widths.set(name, width);
  }
  return width;
}
