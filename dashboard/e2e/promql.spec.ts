// The figures of the page are those that Grafana shows for the same window: its panels' queries, asked of a Prometheus that
// scraped the same service. A replay that has ended holds the window still for both.

import { expect, framesDrawn, test } from './page';
import { panelQuery, Prometheus } from './prometheus';
import { along, type Fix, Rig, until } from './rig';

test.use({ baseURL: 'http://127.0.0.1' });

interface Corridor {
  name: string;
  segments: string[];
  length_m: number;
}

/** Vehicles that follow each other through a corridor for a quarter of an hour; each has a speed of its own. */
function drives(rig: Rig, way: number[], length_m: number): Fix[] {
  const startMs = Date.UTC(2026, 8, 7, 8);
  const fixes: Fix[] = [];
  for (let v = 0; v < 80; v++) {
    const mps = 3 + (v % 5);
    for (let s = v * 10, metres = 0; s < 900 && metres < length_m; s += 2, metres += mps * 2) {
      const [lon, lat] = along(rig.network, way, metres);
      fixes.push({ id: `drive${v}`, ms: startMs + s * 1000, lon, lat, mps });
    }
  }
  return fixes.sort((a, b) => a.ms - b.ms);
}

test('the figures of the page are those of PromQL for the same window', async ({ page }) => {
  test.slow();
  const rig = await new Rig().start();
  let prometheus: Prometheus | null = null;
  try {
    const corridor = await until('corridors are known', async () => {
      const { areas } = await rig.get<{ areas: Corridor[] }>('corridors');
      // A street that few minutes are enough to drive through, so that all of it is covered.
      return areas.filter((a) => a.length_m < 1_600).sort((a, b) => b.length_m - a.length_m)[0];
    });
    const way = corridor.segments.map((id) => rig.network.segments.id.indexOf(id));
    const fixes = drives(rig, way, corridor.length_m);
    const replay = rig.replay(fixes, '--speed', '60');
    expect(await replay.ended, replay.log).toBe(0);
    prometheus = await Prometheus.start(rig.folder, rig.httpPort);
    const scraped = prometheus;
    // All of it is counted, and that is what was scraped: from here on nothing moves.
    await until('Prometheus has all of it', async () => (await scraped.value('arterial_analytics_positions_total')) === fixes.length);
    const endMs = Math.round((await scraped.value('arterial_window_end_timestamp_seconds{window="5m"}')) * 1000);

    await page.goto(`${rig.url}/?window=300`);
    await framesDrawn(page, 1);
    await expect.poll(() => page.evaluate(() => window.__arterial.lastWindowEndMs)).toBe(endMs);
    const written = (value: number, digits: number): string => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
    const delay = (value: number): string => written(value, value < 10 ? 2 : value < 100 ? 1 : 0);
    const city = { window: '5m' };
    for (const [figure, panel, say] of [
      ['speed', 'City speed', (mps: number) => written(mps * 3.6, 1)],
      ['tti', 'Travel time index', (index: number) => written(index, 2)],
      ['delay', 'Delay', delay],
      ['vehicles', 'Vehicles observed', (n: number) => written(n, 0)],
    ] as const) {
      const value = await scraped.value(panelQuery('city', panel, city));
      expect(value, panel).toBeGreaterThan(0);
      await expect(page.locator(`[data-figure=${figure}] .value`), panel).toHaveText(new RegExp(`^${say(value).replace('.', '\\.')}(?![\\d.,])`));
    }

    await page.goto(`${rig.url}/?page=corridor&window=300&corridor=${encodeURIComponent(corridor.name)}`);
    const of = { corridor: corridor.name, window: '5m' };
    const minutes = (s: number): string => `${Math.floor(Math.round(s) / 60)}:${String(Math.round(s) % 60).padStart(2, '0')}`;
    for (const [label, panel, say] of [
      ['Travel time', 'Travel time', minutes],
      ['Travel time index', 'Travel time index', (index: number) => written(index, 2)],
      ['Delay', 'Delay', delay],
    ] as const) {
      const value = await scraped.value(panelQuery('corridor', panel, of));
      expect(value, panel).toBeGreaterThan(0);
      const tile = page.locator('dl.tiles > div').filter({ has: page.locator('dt').getByText(label, { exact: true }) });
      await expect(tile.locator('.value'), panel).toHaveText(new RegExp(`^${say(value).replace('.', '\\.')}(?![\\d.,])`));
    }
    await page.goto('about:blank');
  } finally {
    await prometheus?.stop();
    await rig.stop();
  }
});
