// Where the map looks: a centre in projected metres and a scale in CSS pixels per metre.
// Pure functions; the page owns the camera, the worker only draws what it is told.

export interface Camera {
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export type Extent = [west: number, top: number, east: number, bottom: number];

const SCALE_MAX = 4;
const MARGIN_PX = 28;

export function fit(extent: Extent, size: Size, scaleMax = SCALE_MAX): Camera {
  const width = Math.max(1, extent[2] - extent[0]);
  const height = Math.max(1, extent[3] - extent[1]);
  const scale = Math.min(
    Math.max(40, size.width - 2 * MARGIN_PX) / width,
    Math.max(40, size.height - 2 * MARGIN_PX) / height,
    scaleMax,
  );
  return { x: (extent[0] + extent[2]) / 2, y: (extent[1] + extent[3]) / 2, scale };
}

/** Keeps the centre over the network and the scale between the whole city and a junction. */
export function clamp(camera: Camera, extent: Extent, size: Size): Camera {
  const scaleMin = fit(extent, size).scale / 2;
  return {
    x: Math.min(extent[2], Math.max(extent[0], camera.x)),
    y: Math.min(extent[3], Math.max(extent[1], camera.y)),
    scale: Math.min(SCALE_MAX, Math.max(scaleMin, camera.scale)),
  };
}

export function panBy(camera: Camera, dxPx: number, dyPx: number): Camera {
  return { ...camera, x: camera.x - dxPx / camera.scale, y: camera.y - dyPx / camera.scale };
}

/** The place under (px, py) stays under it. */
export function zoomAt(camera: Camera, factor: number, px: number, py: number, size: Size): Camera {
  const fromCentreX = px - size.width / 2;
  const fromCentreY = py - size.height / 2;
  const scale = camera.scale * factor;
  return {
    x: camera.x + fromCentreX / camera.scale - fromCentreX / scale,
    y: camera.y + fromCentreY / camera.scale - fromCentreY / scale,
    scale,
  };
}

export function toScreen(camera: Camera, size: Size, x: number, y: number): [number, number] {
  return [
    (x - camera.x) * camera.scale + size.width / 2,
    (y - camera.y) * camera.scale + size.height / 2,
  ];
}

export function toWorld(camera: Camera, size: Size, px: number, py: number): [number, number] {
  return [
    (px - size.width / 2) / camera.scale + camera.x,
    (py - size.height / 2) / camera.scale + camera.y,
  ];
}

/** A round length and its width on screen, for the scale bar. */
export function scaleBar(camera: Camera, widthMaxPx: number): { metres: number; px: number } {
  const metresMax = widthMaxPx / camera.scale;
  const power = 10 ** Math.floor(Math.log10(metresMax));
  const step = [5, 2, 1].find((s) => s * power <= metresMax) ?? 1;
  return { metres: step * power, px: step * power * camera.scale };
}
