// The map against a picture that is known: six parallel streets, each of one class, without a font in sight. Each colour
// covers what its line covers, give or take what the smoothing of edges takes.

import { PALETTES } from '../src/map/classes';
import { expect, test } from './page';

const RATIOS = [1, 0.75, 0.6, 0.4, 0.1];

for (const theme of ['light', 'dark'] as const) {
  test(`each class covers its line in its colour, ${theme}`, async ({ page }) => {
    const n = RATIOS.length;
    const columns = (of: (i: number) => unknown): unknown[] => RATIOS.map((_, i) => of(i));
    const head = {
      window_s: 60, window_start_ms: 0, window_end_ms: 60_000, published_ms: 60_000, k: 3, probe_share: { value: 1, source: 'none' }, levels: 'tti', fates: null,
      city: { speed_mps: 10, travel_time_index: 1, delay_veh_h_per_h: 1, vehicles: 50, events: 500, observed_length_share: 1, newest_observation_ms: 60_000, segments_published: n, segments_suppressed: 0 },
    };
    await page.routeWebSocket(/\/api\/v1\/live/, () => {});
    await page.route('**/api/v1/network', (route) =>
      route.fulfill({
        json: {
          city: 'six', network: 'six', hash: theme, bbox: [10, 50, 10.01, 50.004], center: [10.005, 50.002],
          segments: { id: columns((i) => String(i).padStart(16, '0')), name: columns(() => null), class: columns(() => 'primary'), length_m: columns(() => 700), free_flow_mps: columns(() => 10), free_flow_basis: columns(() => 'limit'), line: columns((i) => [10_000_000, 50_000_000 + i * 1000, 10_000, 0]) },
        },
      }),
    );
    const floats = columns(() => 1);
    await page.route('**/api/v1/snapshot**', (route) =>
      route.fulfill({
        json: {
          ...head,
          segments: { index: columns((i) => i), speed_ratio: RATIOS, speed_mps: RATIOS.map((r) => r * 10), vehicles: columns(() => 9), events: columns(() => 90), delay_veh_h_per_h: floats, density_veh_per_km: floats, flow_veh_per_h: floats, p15_mps: floats, p50_mps: floats, p85_mps: floats, speed_stderr_mps: floats, free_flow_mps: columns(() => 10), free_flow_basis: columns(() => 'limit'), level: columns(() => 'free') },
        },
      }),
    );
    await page.goto(`/?theme=${theme}`);
    await page.waitForFunction((count) => window.__arterial?.coloured === count, n);
    // The legend lies over the streets in the south.
    await page.locator('.legend summary').click();
    const png = (await page.getByTestId('map').screenshot()).toString('base64');
    const covered = await page.evaluate(
      async ([data, colours]) => {
        const image = new Image();
        image.src = `data:image/png;base64,${data}`;
        await image.decode();
        const ctx = new OffscreenCanvas(image.width, image.height).getContext('2d')!;
        ctx.drawImage(image, 0, 0);
        const rgba = ctx.getImageData(0, 0, image.width, image.height).data;
        return colours.map((hex) => {
          const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
          let n = 0;
          for (let i = 0; i < rgba.length; i += 4) if (Math.abs(rgba[i] - r) + Math.abs(rgba[i + 1] - g) + Math.abs(rgba[i + 2] - b) < 12) n++;
          return n;
        });
      },
      [png, [...PALETTES[theme].classes]] as const,
    );
    // Worse is wider: each class covers more than the one before it, by about the share by which its line widens.
    const widths = [1, 1.15, 1.4, 1.75, 2.1];
    expect(Math.min(...covered)).toBeGreaterThan(800);
    for (let i = 1; i < n; i++) {
      const ratio = covered[i] / covered[0] / widths[i];
      expect(ratio, `class ${i}: ${covered.join(' ')}`).toBeGreaterThan(0.7);
      expect(ratio, `class ${i}: ${covered.join(' ')}`).toBeLessThan(1.5);
    }
  });
}
