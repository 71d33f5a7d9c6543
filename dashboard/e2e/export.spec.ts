// What the page hands out, and that its figures are those of anybody who asks the same of the server.

import { readFileSync } from 'node:fs';
import type {} from '../src/state/debug';
import { colouredSegments, expect, test } from './page';

/** A reader of RFC 4180 of its own. */
function parse(text: string): string[][] {
  const rows: string[][] = [[]];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') cell += text[++i];
      else if (c === '"') quoted = false;
      else cell += c;
    } else if (c === '"') quoted = true;
    else if (c === ',') [cell] = [(rows.at(-1)!.push(cell), '')];
    else if (c === '\n') {
      rows.at(-1)!.push(cell.replace(/\r$/, ''));
      cell = '';
      rows.push([]);
    } else cell += c;
  }
  return rows.filter((row) => row.length > 1);
}

test('the ranking is what anybody computes from the exported table', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByTestId('status')).toContainText('Paused');
  await page.locator('summary', { hasText: 'Export' }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Table (CSV)' }).click()]);
  const text = readFileSync(await download.path(), 'utf8');
  expect(text.charCodeAt(0)).toBe(0xfeff);
  const [header, ...rows] = parse(text.slice(1));
  const column = (name: string): number => header.indexOf(name);
  const records = rows.map((row, i) => ({ i, name: row[column('name')], ratio: Number(row[column('speed_ratio')]), mps: Number(row[column('speed_mps')]), free: Number(row[column('free_flow_mps')]), vehicles: Number(row[column('vehicles')]) }));
  expect(records.length).toBeGreaterThan(200);
  expect(Math.min(...records.map((r) => r.vehicles))).toBeGreaterThanOrEqual(3);
  // The ratio again from its parts, then the order from the ratio; rows of the file are in the order of the network.
  for (const r of records) expect(Math.abs(r.mps / r.free - r.ratio)).toBeLessThan(0.002);
  records.sort((a, b) => a.ratio - b.ratio || a.i - b.i);
  // toFixed rounds the binary number (0.155 is a little less: 0.15), the page the decimal that the file shows (0.16).
  const hundredths = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const expected = records.slice(0, 20).map((r) => `${r.name} ${hundredths.format(r.ratio)} ${r.vehicles}`);
  await expect.poll(async () => {
    const shown = await page.locator('#ranking tbody tr').all();
    return Promise.all(shown.map(async (row) => `${await row.locator('.text').textContent()} ${(await row.locator('td.ratio').innerText()).trim()} ${await row.locator('td').nth(3).innerText()}`));
  }).toEqual(expected);
});

test('GeoJSON holds the same segments, and the picture is not blank', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  const save = async (name: string): Promise<Buffer> => {
    await page.locator('summary', { hasText: 'Export' }).click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFileSync(await download.path());
  };
  const { features } = JSON.parse((await save('GeoJSON')).toString());
  expect(features.length).toBeGreaterThan(200);
  const { bbox } = await (await page.request.get('/api/v1/network')).json();
  for (const { geometry } of features) {
    for (const [lon, lat] of geometry.coordinates) {
      expect(lon >= bbox[0] - 1e-4 && lon <= bbox[2] + 1e-4 && lat >= bbox[1] - 1e-4 && lat <= bbox[3] + 1e-4).toBe(true);
    }
  }
  const png = (await save('PNG')).toString('base64');
  const colours = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const ctx = canvas.getContext('2d')!;
    ctx.drawImage(image, 0, 0);
    return new Set(new Uint32Array(ctx.getImageData(0, 0, image.width, image.height).data.buffer)).size;
  }, png);
  expect(colours).toBeGreaterThan(20);
});

test('the figures of the page are those of /metrics for the same window', async ({ page }) => {
  await page.goto('/?window=300');
  await colouredSegments(page, 200);
  /** Delay of the city by the end of its window, as Prometheus would have scraped it. */
  const scraped = new Map<number, number>();
  const scrape = async (): Promise<void> => {
    const lines = (await (await page.request.get('/metrics')).text()).split('\n');
    const of = (name: string): number => Number(lines.find((line) => line.startsWith(`${name}{`) && line.includes('window="5m"') && (!line.includes('area=') || line.includes('area="city"')))?.split(' ').pop());
    scraped.set(Math.round(of('arterial_window_end_timestamp_seconds') * 1000), of('arterial_area_delay_vehicle_seconds_per_second'));
  };
  const digits = (value: number): number => (value < 10 ? 2 : value < 100 ? 1 : 0);
  await expect(async () => {
    scraped.clear();
    for (let i = 0; i < 4; i++) await scrape();
    await page.getByRole('button', { name: 'Pause' }).click();
    try {
      await scrape();
      // What is drawn and what is written are of one frame, once nothing more comes.
      const end = await page.evaluate(() => window.__arterial.lastWindowEndMs ?? 0);
      const text = (await page.locator('[data-figure=delay] .value').innerText()).replace(/[^\d.,].*$/s, '');
      const value = scraped.get(end);
      expect(value, `${end} among ${[...scraped.keys()].join(' ')}`).toBeDefined();
      expect(text).toBe(new Intl.NumberFormat('en', { minimumFractionDigits: digits(value!), maximumFractionDigits: digits(value!) }).format(value!));
    } finally {
      await page.getByRole('button', { name: 'Resume' }).click();
    }
  }).toPass({ timeout: 80_000, intervals: [100] });
});

test('nine tabs stay live, and a hidden one asks for nothing', async ({ context }) => {
  test.slow();
  const pages = await Promise.all(Array.from({ length: 9 }, () => context.newPage()));
  await Promise.all(pages.map((page) => page.goto('/')));
  for (const page of pages) await page.waitForFunction(() => (window.__arterial?.frames ?? 0) >= 3, null, { timeout: 60_000, polling: 200 });
  const [hidden, other] = pages;
  const closed = hidden.waitForFunction(() => (window as unknown as { letGo?: boolean }).letGo === true, null, { polling: 200, timeout: 60_000 });
  await hidden.evaluate(() => {
    // The page's own sockets end through this prototype when it lets go of them.
    const close = WebSocket.prototype.close;
    WebSocket.prototype.close = function (...args) {
      (window as unknown as { letGo?: boolean }).letGo = true;
      return close.apply(this, args);
    };
    Object.defineProperty(document, 'hidden', { get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await closed;
  const asked: string[] = [];
  hidden.on('request', (request) => asked.push(request.url()));
  const before = await hidden.evaluate(() => window.__arterial.frames);
  const seen = await other.evaluate(() => window.__arterial.frames);
  await other.waitForFunction((n) => window.__arterial.frames >= n + 5, seen, { timeout: 60_000, polling: 200 });
  expect(asked).toEqual([]);
  expect(await hidden.evaluate(() => window.__arterial.frames)).toBe(before);
  await Promise.all(pages.map((page) => page.close()));
});

test('without WebSocket the page polls, and says so', async ({ page, watch }) => {
  watch.expected.push('WebSocket connection to');
  await page.routeWebSocket(/\/api\/v1\/live/, (socket) => void socket.close());
  await page.goto('/');
  await colouredSegments(page, 100);
  await expect(page.getByTestId('status')).toContainText('Reconnecting');
  await expect(page.getByTestId('notice')).toContainText('live connection is lost');
  const before = await page.evaluate(() => window.__arterial.lastWindowEndMs ?? 0);
  await page.waitForFunction((end) => (window.__arterial.lastWindowEndMs ?? 0) > end, before, { timeout: 30_000 });
});
