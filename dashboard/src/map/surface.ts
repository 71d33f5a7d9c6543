// The page's side of the map: owns the camera and the worker, turns gestures into camera moves.

import { type Camera, clamp, type Extent, fit, panBy, type Size, toScreen, zoomAt } from './camera';
import type { Geometry } from './geometry';
import type { FromWorker, ToWorker } from './messages';

const WHEEL_PER_PX = 0.0016;
const KEY_PAN_PX = 80;
const KEY_ZOOM = 1.4;
const CLICK_SLOP_PX = 5;
const HOVER_RADIUS_PX = 5;
const TOUCH_RADIUS_PX = 14;
const EASE_MS = 260;
const EDGE_PX = 40;
const SEEN_PX = 16;
const SHOWN_SCALE_MAX = 0.35;

export interface SurfaceEvents {
  camera(camera: Camera): void;
  drawn(message: Extract<FromWorker, { kind: 'drawn' }>): void;
  hover(index: number | null, px: number, py: number): void;
  select(index: number | null): void;
  failed(message: string): void;
}

export class Surface {
  #worker: Worker;
  #camera: Camera = { x: 0, y: 0, scale: 0.1 };
  #size: Size = { width: 0, height: 0 };
  #extent: Extent = [0, 0, 1, 1];
  #untouched = true;
  #pointers = new Map<number, { x: number; y: number }>();
  #travelled = 0;
  #ticket = 0;
  #pictures = new Map<number, (blob: Blob) => void>();
  #picks = new Map<number, (index: number | null) => void>();
  #picking = false;
  #observer: ResizeObserver;
  #ease = 0;

  constructor(
    private readonly box: HTMLElement,
    canvas: HTMLCanvasElement,
    private readonly events: SurfaceEvents,
  ) {
    this.#size = { width: box.clientWidth, height: box.clientHeight };
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
    this.#worker.onerror = (event) => events.failed(event.message || 'worker');
    const offscreen = canvas.transferControlToOffscreen();
    this.post({ kind: 'open', canvas: offscreen }, [offscreen]);
    this.#observer = new ResizeObserver(() => this.#resized());
    this.#observer.observe(box);
    this.#listen();
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  setNetwork(geometry: Geometry, names: (string | null)[], camera: Camera | null): void {
    this.#extent = geometry.extent;
    this.post({ kind: 'network', geometry, names });
    this.#untouched = camera === null;
    this.#camera = camera ?? fit(this.#extent, this.#size);
    this.#move(this.#camera);
  }

  /** The reader has not moved the map: it follows the size of the window. */
  get showsAll(): boolean {
    return this.#untouched;
  }

  showAll(): void {
    this.#easeTo(fit(this.#extent, this.#size));
    this.#untouched = true;
  }

  /** Brings a segment into view without zooming out; stays if it can be seen already. */
  showBox(extent: Extent): void {
    const [left, top] = toScreen(this.#camera, this.#size, extent[0], extent[1]);
    const [right, bottom] = toScreen(this.#camera, this.#size, extent[2], extent[3]);
    const inside = left > EDGE_PX && top > EDGE_PX && right < this.#size.width - EDGE_PX && bottom < this.#size.height - EDGE_PX;
    if (inside && Math.hypot(right - left, bottom - top) > SEEN_PX) return;
    const close = fit(extent, { width: this.#size.width * 0.5, height: this.#size.height * 0.5 }, SHOWN_SCALE_MAX);
    this.#untouched = false;
    this.#easeTo({ ...close, scale: Math.max(this.#camera.scale, close.scale) });
  }

  zoom(factor: number): void {
    this.#untouched = false;
    this.#easeTo(zoomAt(this.#camera, factor, this.#size.width / 2, this.#size.height / 2, this.#size));
  }

  /** The map as it stands, as a file. */
  png(): Promise<Blob> {
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      this.#pictures.set(ticket, resolve);
      this.post({ kind: 'png', ticket });
    });
  }

  close(): void {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#ease);
    this.#worker.terminate();
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'drawn') this.events.drawn(message);
    else if (message.kind === 'png') {
      this.#pictures.get(message.ticket)?.(message.blob);
      this.#pictures.delete(message.ticket);
    }
    else if (message.kind === 'failed') this.events.failed(message.message);
    else {
      this.#picks.get(message.ticket)?.(message.index);
      this.#picks.delete(message.ticket);
    }
  }

  #resized(): void {
    this.#size = { width: this.box.clientWidth, height: this.box.clientHeight };
    this.#move(this.#untouched ? fit(this.#extent, this.#size) : this.#camera);
  }

  #move(camera: Camera): void {
    if (this.#size.width === 0) return;
    this.#camera = clamp(camera, this.#extent, this.#size);
    this.post({ kind: 'view', camera: this.#camera, size: this.#size, pixelRatio: Math.min(2, devicePixelRatio) });
    this.events.camera(this.#camera);
  }

  #byHand(camera: Camera): void {
    cancelAnimationFrame(this.#ease);
    this.#untouched = false;
    this.#move(camera);
  }

  #easeTo(target: Camera): void {
    cancelAnimationFrame(this.#ease);
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return this.#move(target);
    const from = this.#camera;
    const began = performance.now();
    const step = (now: number) => {
      const t = Math.min(1, Math.max(0, (now - began) / EASE_MS));
      const k = 1 - (1 - t) ** 3;
      const scale = from.scale * (target.scale / from.scale) ** k;
      this.#move({ x: from.x + (target.x - from.x) * k, y: from.y + (target.y - from.y) * k, scale });
      if (t < 1) this.#ease = requestAnimationFrame(step);
    };
    this.#ease = requestAnimationFrame(step);
  }

  #pick(px: number, py: number, radiusPx: number): Promise<number | null> {
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      this.#picks.set(ticket, resolve);
      this.post({ kind: 'pick', ticket, px, py, radiusPx });
    });
  }

  #listen(): void {
    const { box } = this;
    box.addEventListener('wheel', this.#wheel, { passive: false });
    box.addEventListener('pointerdown', this.#down);
    box.addEventListener('pointermove', this.#pointer);
    box.addEventListener('pointerup', this.#up);
    box.addEventListener('pointercancel', (event) => this.#pointers.delete(event.pointerId));
    box.addEventListener('pointerleave', () => this.events.hover(null, 0, 0));
    box.addEventListener('keydown', this.#key);
  }

  #place(event: PointerEvent | WheelEvent): { x: number; y: number } {
    const rect = this.box.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  }

  #wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const { x, y } = this.#place(event);
    this.#byHand(zoomAt(this.#camera, Math.exp(-event.deltaY * lines * WHEEL_PER_PX), x, y, this.#size));
  };

  #down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    if (this.#pointers.size === 0) this.#travelled = 0;
    this.#pointers.set(event.pointerId, this.#place(event));
    this.box.setPointerCapture(event.pointerId);
  };

  #pointer = (event: PointerEvent): void => {
    const here = this.#place(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === 'mouse') void this.#hover(here);
      return;
    }
    this.#travelled += Math.hypot(here.x - before.x, here.y - before.y);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, here);
    if (this.#travelled < CLICK_SLOP_PX) return;
    this.events.hover(null, 0, 0);
    if (!other) return this.#byHand(panBy(this.#camera, here.x - before.x, here.y - before.y));
    const spread = Math.hypot(here.x - other.x, here.y - other.y);
    const spreadBefore = Math.hypot(before.x - other.x, before.y - other.y) || 1;
    const middle = [(here.x + other.x) / 2, (here.y + other.y) / 2] as const;
    const panned = panBy(this.#camera, (here.x - before.x) / 2, (here.y - before.y) / 2);
    this.#byHand(zoomAt(panned, spread / spreadBefore, middle[0], middle[1], this.#size));
  };

  #up = async (event: PointerEvent): Promise<void> => {
    if (!this.#pointers.delete(event.pointerId) || this.#travelled >= CLICK_SLOP_PX) return;
    const { x, y } = this.#place(event);
    const radius = event.pointerType === 'mouse' ? HOVER_RADIUS_PX : TOUCH_RADIUS_PX;
    this.events.select(await this.#pick(x, y, radius));
  };

  /** One question at a time: the worker may be busy drawing. */
  async #hover({ x, y }: { x: number; y: number }): Promise<void> {
    if (this.#picking) return;
    this.#picking = true;
    const index = await this.#pick(x, y, HOVER_RADIUS_PX);
    this.#picking = false;
    this.events.hover(index, x, y);
  }

  #key = async (event: KeyboardEvent): Promise<void> => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pans: Record<string, [number, number]> = {
      ArrowLeft: [KEY_PAN_PX, 0],
      ArrowRight: [-KEY_PAN_PX, 0],
      ArrowUp: [0, KEY_PAN_PX],
      ArrowDown: [0, -KEY_PAN_PX],
    };
    const pan = pans[event.key];
    if (pan) this.#byHand(panBy(this.#camera, pan[0], pan[1]));
    else if (event.key === '+' || event.key === '=') this.zoom(KEY_ZOOM);
    else if (event.key === '-') this.zoom(1 / KEY_ZOOM);
    else if (event.key === '0') this.showAll();
    else if (event.key === 'Escape') this.events.select(null);
    else if (event.key === 'Enter') {
      this.events.select(await this.#pick(this.#size.width / 2, this.#size.height / 2, 4 * TOUCH_RADIUS_PX));
    } else return;
    event.preventDefault();
  };
}
