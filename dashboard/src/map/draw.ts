// One picture of the network on a 2D context. Strokes are batched by speed class and road rank:
// at most a few dozen stroke calls, whatever the number of segments.

import { type Camera, type Size, toScreen } from './camera';
import { BUCKET_FREE, BUCKET_NO_DATA, BUCKET_OF_BYTE, BUCKETS, NO_DATA, type Palette, RANKS } from './classes';
import type { Geometry } from './geometry';
import { drawLabels } from './labels';
import { bedPx, dash, linePx, offsetPx, visible } from './stroke';

export type Context = OffscreenCanvasRenderingContext2D;

export interface Scene {
  geometry: Geometry;
  names: (string | null)[];
  ratios: Uint8Array | null;
  camera: Camera;
  size: Size;
  pixelRatio: number;
  palette: Palette;
  /** Newest figures are too old to be shown in colour. */
  grey: boolean;
  selected: number | null;
  hovered: number | null;
  /** Outlined together: the extent of a queue. */
  highlit: number[];
  /** Whether to draw dashes and beds; null leaves it to how full the view is. */
  detailed: boolean | null;
}

/** Dashes and beds cost more than the lines themselves; a fuller view does without. */
const DETAILED_SEGMENTS_MAX = 12_000;
/** Nobody sees the shape of the ends of a thinner line. */
const ROUND_FROM_PX = 2.5;

/** Draws the scene; tells whether it was drawn in detail. */
export function drawScene(ctx: Context, scene: Scene): boolean {
  const { palette, size, pixelRatio } = scene;
  ctx.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  ctx.fillStyle = palette.ground;
  ctx.fillRect(0, 0, size.width, size.height);
  const inView = segmentsInView(scene);
  const detailed = scene.detailed ?? inView.length <= DETAILED_SEGMENTS_MAX;
  if (detailed) drawBeds(ctx, scene, inView);
  drawClasses(ctx, scene, inView, detailed);
  for (const index of scene.highlit) drawMark(ctx, scene, index, 2);
  drawLabels(ctx, scene, inView);
  if (scene.hovered !== null) drawMark(ctx, scene, scene.hovered, 2);
  if (scene.selected !== null) drawMark(ctx, scene, scene.selected, 3.5);
  return detailed;
}

export function bucketOf(scene: Scene, index: number): number {
  return BUCKET_OF_BYTE[scene.ratios?.[index] ?? NO_DATA];
}

function segmentsInView({ geometry, camera, size }: Scene): number[] {
  const { box, rank, count } = geometry;
  const margin = 20 / camera.scale;
  const halfWidth = size.width / 2 / camera.scale + margin;
  const halfHeight = size.height / 2 / camera.scale + margin;
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    if (
      visible(rank[i], camera.scale) &&
      box[4 * i] < camera.x + halfWidth &&
      box[4 * i + 2] > camera.x - halfWidth &&
      box[4 * i + 1] < camera.y + halfHeight &&
      box[4 * i + 3] > camera.y - halfHeight
    ) {
      found.push(i);
    }
  }
  return found;
}

/** Key of a batch: segments of one batch share colour and width. */
function batches(keys: number, inView: number[], keyOf: (index: number) => number): number[][] {
  const groups: number[][] = Array.from({ length: keys }, () => []);
  for (const index of inView) groups[keyOf(index)].push(index);
  return groups;
}

function drawBeds(ctx: Context, scene: Scene, inView: number[]): void {
  const { rank, twin } = scene.geometry;
  const { scale } = scene.camera;
  ctx.strokeStyle = scene.palette.bed;
  const groups = batches(2 * RANKS, inView, (i) => 2 * rank[i] + twin[i]);
  for (let key = groups.length - 1; key >= 0; key--) {
    const isTwin = key % 2 === 1;
    const width = bedPx(key >> 1, scale, isTwin);
    strokeAll(ctx, scene, groups[key], width + 2, offsetPx(width, isTwin));
  }
}

function drawClasses(ctx: Context, scene: Scene, inView: number[], dashed: boolean): void {
  const { geometry, palette, grey } = scene;
  const { rank, twin } = geometry;
  const { scale } = scene.camera;
  const colours = [palette.noData, palette.suppressed, ...palette.classes];
  const perBucket = 2 * RANKS;
  const groups = batches(
    BUCKETS * perBucket,
    inView,
    (i) => bucketOf(scene, i) * perBucket + 2 * (RANKS - 1 - rank[i]) + twin[i],
  );
  groups.forEach((group, key) => {
    if (group.length === 0) return;
    const bucket = Math.floor(key / perBucket);
    const groupRank = RANKS - 1 - ((key % perBucket) >> 1);
    const isTwin = key % 2 === 1;
    const width = linePx(groupRank, bucket, scale, isTwin);
    ctx.strokeStyle = grey && bucket >= BUCKET_FREE ? palette.stale : colours[bucket];
    const pattern = dashed ? dash(bucket, width) : [];
    ctx.setLineDash(pattern);
    const offset = offsetPx(Math.max(width, bedPx(groupRank, scale, isTwin)), isTwin);
    // A dash of no length is a dot, and only round ends make it visible.
    strokeAll(ctx, scene, group, width, offset, pattern[0] === 0 || (bucket !== BUCKET_NO_DATA && width >= ROUND_FROM_PX));
  });
  ctx.setLineDash([]);
}

function strokeAll(ctx: Context, scene: Scene, group: number[], width: number, offset: number, round = true): void {
  if (group.length === 0) return;
  ctx.lineCap = round ? 'round' : 'butt';
  ctx.lineJoin = round ? 'round' : 'bevel';
  ctx.lineWidth = width;
  ctx.beginPath();
  for (const index of group) trace(ctx, scene, index, offset);
  ctx.stroke();
}

/** Adds one segment to the path, leaving out vertices that fall on the same pixel. */
function trace(ctx: Context, scene: Scene, index: number, offset: number): void {
  const { start, xy, normal } = scene.geometry;
  const { x, y, scale } = scene.camera;
  const left = scene.size.width / 2 - x * scale;
  const top = scene.size.height / 2 - y * scale;
  const last = start[index + 1] - 1;
  let px = 0;
  let py = 0;
  for (let v = start[index]; v <= last; v++) {
    const sx = xy[2 * v] * scale + left + normal[2 * v] * offset;
    const sy = xy[2 * v + 1] * scale + top + normal[2 * v + 1] * offset;
    if (v === start[index]) {
      ctx.moveTo(sx, sy);
    } else if (v === last || Math.abs(sx - px) + Math.abs(sy - py) >= 1) {
      ctx.lineTo(sx, sy);
    } else {
      continue;
    }
    px = sx;
    py = sy;
  }
}

/** Outlines a segment in ink, draws it again on top, and shows its direction. */
function drawMark(ctx: Context, scene: Scene, index: number, rimPx: number): void {
  const { geometry, palette, grey } = scene;
  const { scale } = scene.camera;
  const isTwin = geometry.twin[index] === 1;
  const bucket = bucketOf(scene, index);
  const bed = bedPx(geometry.rank[index], scale, isTwin);
  const width = Math.max(3, linePx(geometry.rank[index], bucket, scale, isTwin));
  const offset = offsetPx(Math.max(width, bed), isTwin);
  ctx.strokeStyle = palette.ink;
  strokeAll(ctx, scene, [index], width + 2 * rimPx, offset);
  ctx.strokeStyle = palette.ground;
  strokeAll(ctx, scene, [index], width + 2 * rimPx - 3, offset);
  const colours = [palette.noData, palette.suppressed, ...palette.classes];
  ctx.strokeStyle = grey && bucket >= BUCKET_FREE ? palette.stale : colours[bucket];
  strokeAll(ctx, scene, [index], width, offset);
  drawArrow(ctx, scene, index, offset, width + rimPx + 3);
}

function drawArrow(ctx: Context, scene: Scene, index: number, offset: number, sizePx: number): void {
  const { start, xy, normal } = scene.geometry;
  const v = start[index + 1] - 1;
  if (v <= start[index]) return;
  const [bx, by] = toScreen(scene.camera, scene.size, xy[2 * v], xy[2 * v + 1]);
  const [ax, ay] = toScreen(scene.camera, scene.size, xy[2 * v - 2], xy[2 * v - 1]);
  ctx.save();
  ctx.translate(bx + normal[2 * v] * offset, by + normal[2 * v + 1] * offset);
  ctx.rotate(Math.atan2(by - ay, bx - ax));
  ctx.fillStyle = scene.palette.ink;
  ctx.strokeStyle = scene.palette.ground;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(sizePx, 0);
  ctx.lineTo(-sizePx * 0.4, -sizePx * 0.8);
  ctx.lineTo(-sizePx * 0.4, sizePx * 0.8);
  ctx.closePath();
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}
