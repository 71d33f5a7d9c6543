// The drawing thread: keeps the scene, draws it once per change and never otherwise, and answers
// which segment lies under a point.

import Flatbush from 'flatbush';
import { toWorld } from './camera';
import { BUCKET_FREE, BUCKET_OF_BYTE, PALETTES } from './classes';
import { bucketOf, type Context, drawScene, type Scene } from './draw';
import type { Geometry } from './geometry';
import type { FromWorker, ToWorker } from './messages';
import { bedPx, linePx, offsetPx, squaredDistancePx, visible } from './stroke';

const port = globalThis as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  requestAnimationFrame(callback: () => void): number;
};

let canvas: OffscreenCanvas | null = null;
let context: Context | null = null;
let index: Flatbush | null = null;
let scheduled = false;
let sequence = 0;
let scene: Omit<Scene, 'geometry'> & { geometry: Geometry | null } = {
  geometry: null,
  names: [],
  ratios: null,
  camera: { x: 0, y: 0, scale: 0.1 },
  size: { width: 0, height: 0 },
  pixelRatio: 1,
  palette: PALETTES.light,
  grey: false,
  selected: null,
  hovered: null,
  highlit: [],
  detailed: null,
};

port.onmessage = ({ data }) => {
  try {
    receive(data);
  } catch (error) {
    port.postMessage({ kind: 'failed', message: String(error) });
  }
};

function receive(message: ToWorker): void {
  switch (message.kind) {
    case 'open':
      canvas = message.canvas;
      context = canvas.getContext('2d', { alpha: false });
      if (!context) throw new Error('this browser has no 2D canvas in workers');
      break;
    case 'network':
      index = indexOf(message.geometry);
      scene = { ...scene, geometry: message.geometry, names: message.names, ratios: null };
      break;
    case 'view': {
      resize(message.size, message.pixelRatio);
      // A message is a copy: a size that is the same stays the same object, so that a mere move is known as one.
      const size = message.size.width === scene.size.width && message.size.height === scene.size.height ? scene.size : message.size;
      scene = { ...scene, camera: message.camera, size, pixelRatio: message.pixelRatio };
      break;
    }
    case 'style':
      scene = { ...scene, palette: message.palette, grey: message.grey };
      break;
    case 'frame':
      sequence = message.sequence;
      scene = { ...scene, ratios: message.ratios };
      break;
    case 'mark':
      scene = { ...scene, selected: message.selected, hovered: message.hovered, highlit: message.highlit };
      break;
    case 'png': {
      const { ticket } = message;
      void canvas?.convertToBlob({ type: 'image/png' }).then((blob) => port.postMessage({ kind: 'png', ticket, blob }));
      return;
    }
    case 'pick':
      port.postMessage({ kind: 'picked', ticket: message.ticket, index: pick(message.px, message.py, message.radiusPx) });
      return;
  }
  schedule();
}

function resize(size: { width: number; height: number }, pixelRatio: number): void {
  if (!canvas) return;
  const width = Math.max(1, Math.round(size.width * pixelRatio));
  const height = Math.max(1, Math.round(size.height * pixelRatio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Messages that arrive between two screen refreshes share one drawing. */
function schedule(): void {
  if (scheduled || !context) return;
  scheduled = true;
  port.requestAnimationFrame(() => {
    scheduled = false;
    const { geometry } = scene;
    if (!context || !geometry || scene.size.width === 0) return;
    draw(context, { ...scene, geometry });
    port.postMessage({ kind: 'drawn', sequence, ...summary(scene.ratios) });
  });
}

/** A drawing that is wider than the view on all sides, cut out again and again while the view only moves. */
let wide: { canvas: OffscreenCanvas; context: Context; of: Omit<Scene, 'camera'>; camera: Scene['camera'] } | null = null;
/** How far it reaches beyond the view on each side, as a share of the view. */
const BEYOND = 0.25;
let last: Scene | null = null;

function draw(to: Context, now: Scene): void {
  const before = last;
  last = now;
  if (!before || now.camera.scale !== before.camera.scale || !sameBut('camera', now, before)) {
    now.detailed = null;
    now.detailed = drawScene(to, now);
    return;
  }
  // The view moved and nothing else: lines are stroked once for many moves.
  now.detailed = before.detailed;
  let shift = wide && wide.camera.scale === now.camera.scale && sameBut('camera', now, wide.of) ? shiftPx(wide.camera, now) : null;
  if (!wide || !shift) {
    wide = drawWide(now);
    shift = shiftPx(wide.camera, now) ?? [0, 0];
  }
  const { width, height } = to.canvas;
  to.setTransform(1, 0, 0, 1, 0, 0);
  to.drawImage(wide.canvas, (wide.canvas.width - width) / 2 + shift[0], (wide.canvas.height - height) / 2 + shift[1], width, height, 0, 0, width, height);
}

/** Whether two scenes are one but for a key; what changes is always a new object. */
function sameBut(but: keyof Scene, a: Partial<Scene>, b: Partial<Scene>): boolean {
  return (Object.keys(a) as (keyof Scene)[]).every((key) => key === but || key === 'detailed' || a[key] === b[key]);
}

/** Whole pixels of the screen from the middle of the wide drawing; null where it does not reach. */
function shiftPx(from: Scene['camera'], { camera, size, pixelRatio }: Scene): [number, number] | null {
  const dx = Math.round((camera.x - from.x) * camera.scale * pixelRatio);
  const dy = Math.round((camera.y - from.y) * camera.scale * pixelRatio);
  const reaches = Math.abs(dx) <= Math.floor(size.width * BEYOND) * pixelRatio && Math.abs(dy) <= Math.floor(size.height * BEYOND) * pixelRatio;
  return reaches ? [dx, dy] : null;
}

function drawWide(now: Scene): NonNullable<typeof wide> {
  const size = { width: now.size.width + 2 * Math.floor(now.size.width * BEYOND), height: now.size.height + 2 * Math.floor(now.size.height * BEYOND) };
  const [width, height] = [Math.round(size.width * now.pixelRatio), Math.round(size.height * now.pixelRatio)];
  const kept = wide && wide.canvas.width === width && wide.canvas.height === height ? wide : null;
  const surface = kept?.canvas ?? new OffscreenCanvas(width, height);
  const to = kept?.context ?? surface.getContext('2d', { alpha: false });
  if (!to) throw new Error('this browser has no 2D canvas in workers');
  drawScene(to, { ...now, size });
  return { canvas: surface, context: to, of: now, camera: now.camera };
}

/** How many segments have a speed class, and a digest (FNV-1a) of all classes. */
function summary(ratios: Uint8Array | null): { coloured: number; digest: number } {
  let coloured = 0;
  let digest = 0x811c9dc5;
  for (const byte of ratios ?? []) {
    const bucket = BUCKET_OF_BYTE[byte];
    if (bucket >= BUCKET_FREE) coloured++;
    digest = Math.imul(digest ^ bucket, 0x01000193) >>> 0;
  }
  return { coloured, digest };
}

function indexOf(geometry: Geometry): Flatbush | null {
  if (geometry.count === 0) return null;
  const tree = new Flatbush(geometry.count);
  const { box } = geometry;
  for (let i = 0; i < geometry.count; i++) tree.add(box[4 * i], box[4 * i + 1], box[4 * i + 2], box[4 * i + 3]);
  tree.finish();
  return tree;
}

function pick(px: number, py: number, radiusPx: number): number | null {
  const { geometry, camera, size } = scene;
  if (!geometry || !index) return null;
  const { scale } = camera;
  const [x, y] = toWorld(camera, size, px, py);
  const reach = (radiusPx + 24) / scale;
  const near = index.search(x - reach, y - reach, x + reach, y + reach, (i) => visible(geometry.rank[i], scale));
  let best: number | null = null;
  let bestSquared = Infinity;
  for (const i of near) {
    const isTwin = geometry.twin[i] === 1;
    const bed = bedPx(geometry.rank[i], scale, isTwin);
    const width = Math.max(bed, linePx(geometry.rank[i], bucketOf(scene as Scene, i), scale, isTwin));
    const squared = squaredDistancePx(geometry, i, x, y, scale, offsetPx(width, isTwin));
    if (squared < bestSquared && squared <= (radiusPx + width / 2) ** 2) {
      best = i;
      bestSquared = squared;
    }
  }
  return best;
}
