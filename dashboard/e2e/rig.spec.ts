// What the page shows of vehicles that drive as the test tells them, and of processes that die.

import type { SpaceTime } from '../src/api/contract';
import { expect, framesDrawn, test } from './page';
import { along, type Fix, longest, Mqtt, points, Rig, until } from './rig';

test.use({ baseURL: 'http://127.0.0.1' });

/** Pixels of a colour in a square around the centre of the map. */
async function coloured(page: import('@playwright/test').Page, hex: string): Promise<number> {
  const box = await page.getByTestId('map').boundingBox();
  if (!box) return 0;
  const clip = { x: box.x + box.width / 2 - 30, y: box.y + box.height / 2 - 30, width: 60, height: 60 };
  const png = (await page.screenshot({ clip })).toString('base64');
  return page.evaluate(
    async ([data, wanted]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height);
      const ctx = canvas.getContext('2d')!;
      ctx.drawImage(image, 0, 0);
      const { data: rgba } = ctx.getImageData(0, 0, image.width, image.height);
      const [r, g, b] = [1, 3, 5].map((i) => parseInt(wanted.slice(i, i + 2), 16));
      let n = 0;
      for (let i = 0; i < rgba.length; i += 4) if (Math.abs(rgba[i] - r) + Math.abs(rgba[i + 1] - g) + Math.abs(rgba[i + 2] - b) < 24) n++;
      return n;
    },
    [png, hex] as const,
  );
}

/** So many vehicles that creep along a segment for a minute that ends now. */
function jam(rig: Rig, index: number, vehicles: number, endMs: number, seconds = 40): Fix[] {
  const fixes: Fix[] = [];
  for (let s = 0; s <= seconds; s += 2) {
    for (let v = 0; v < vehicles; v++) {
      const [lon, lat] = along(rig.network, [index], 10 + v * 7 + s * 0.6);
      fixes.push({ id: `jam${v}`, ms: endMs - (seconds - s) * 1000, lon, lat, mps: 0.6 });
    }
  }
  return fixes;
}

test.describe('an empty city', () => {
  let rig: Rig;
  test.beforeEach(async () => {
    rig = await new Rig().start();
  });
  test.afterEach(async ({}, info) => {
    if (info.status !== info.expectedStatus) console.log(rig.analytics?.log, rig.ingest?.log);
    await rig.stop();
  });

  test('says that nobody was seen, and takes on colour where one jam is', async ({ page }) => {
    const [index] = longest(rig.network, 'primary');
    const [lon, lat] = along(rig.network, [index], 30);
    await page.goto(`${rig.url}/?theme=light&view=${lon},${lat},2`);
    await expect(page.getByTestId('empty')).toBeVisible();
    await expect(page.locator('[data-figure=speed] .value')).toHaveText('no data');
    expect(await coloured(page, '#3b0d30')).toBe(0);
    const mqtt = await Mqtt.connect(rig.mqttPort, 'jam');
    for (const fix of jam(rig, index, 5, Date.now() - 1000)) mqtt.position(fix);
    await mqtt.acknowledged();
    await expect.poll(() => coloured(page, '#3b0d30'), { timeout: 30_000 }).toBeGreaterThan(200);
    const row = page.locator('#ranking tbody tr').first();
    await expect(row).toContainText(rig.network.segments.name[index]!);
    await expect(row.locator('td').nth(3)).toHaveText('5');
    await expect(page.locator('[data-figure=vehicles] .value')).toHaveText('5');
    mqtt.close();
  });

  test('goes stale when ingest dies, and lives again without a reload', async ({ page, watch }) => {
    watch.expected.push('WebSocket connection to', 'Failed to load resource');
    const [index] = longest(rig.network, 'primary');
    await page.goto(`${rig.url}/?theme=light`);
    let mqtt = await Mqtt.connect(rig.mqttPort, 'one');
    let alive = true;
    const drive = async (): Promise<void> => {
      for (let s = 0; alive; s++) {
        for (let v = 0; v < 4; v++) {
          const [lon, lat] = along(rig.network, [index], 10 + v * 9 + s * 0.4);
          mqtt.position({ id: `car${v}`, ms: Date.now(), lon, lat, mps: 0.8 });
        }
        await new Promise((next) => setTimeout(next, 500));
      }
    };
    const driving = drive();
    await expect(page.locator('#ranking tbody tr').first()).toBeVisible({ timeout: 30_000 });
    await expect(page.getByTestId('status')).toHaveText('Live');
    await rig.ingest!.stop();
    await expect(page.getByTestId('status')).toContainText('Delayed', { timeout: 20_000 });
    await expect(page.getByTestId('notice')).toContainText('Nothing new');
    rig.startIngest();
    mqtt = await until('ingest is back', () => Mqtt.connect(rig.mqttPort, 'two'));
    await expect(page.getByTestId('status')).toHaveText('Live', { timeout: 30_000 });
    await rig.analytics!.stop();
    await expect(page.getByTestId('status')).toContainText('Reconnecting', { timeout: 20_000 });
    rig.startAnalytics();
    await expect(page.getByTestId('status')).toHaveText('Live', { timeout: 40_000 });
    alive = false;
    await driving;
    mqtt.close();
  });

  test('a planted shockwave stands at its place and time', async ({ page }) => {
    const areas = await until('corridors are known', async () => {
      const found = await rig.get<{ areas: { name: string; segments: string[]; length_m: number }[] }>('corridors');
      return found.areas.length > 0 && found.areas;
    });
    const corridor = areas.filter((a) => a.segments.length >= 6).sort((a, b) => b.length_m - a.length_m)[0];
    const way = corridor.segments.map((id) => rig.network.segments.id.indexOf(id));
    // From minute 5 on nobody gets through the fourth segment faster than walking; before, all drive 8 m/s.
    const startMs = Date.UTC(2026, 8, 7, 8);
    const lengths = way.map((i) => rig.network.segments.length_m[i]);
    const [jamFrom, jamTo] = [lengths.slice(0, 3).reduce((a, b) => a + b, 0), lengths.slice(0, 4).reduce((a, b) => a + b, 0)];
    const end = lengths.reduce((a, b) => a + b, 0);
    const fixes: Fix[] = [];
    for (let v = 0; v < 90; v++) {
      let metres = 0;
      for (let s = v * 8; s < 900 && metres < end; s += 2) {
        const mps = s > 300 && metres >= jamFrom && metres < jamTo ? 1 : 8;
        const [lon, lat] = along(rig.network, way, metres);
        fixes.push({ id: `wave${v}`, ms: startMs + s * 1000, lon, lat, mps });
        metres += mps * 2;
      }
    }
    const replay = rig.replay(fixes, '--speed', '60');
    expect(await replay.ended, replay.log).toBe(0);
    const at = await until('the frames are there', async () => {
      const found = await rig.get<SpaceTime>(`recent/spacetime?corridor=${encodeURIComponent(corridor.name)}`);
      return (found.end_ms.at(-1) ?? 0) >= startMs + 840_000 && found;
    });
    const code = (minute: number, segment: number): number => at.codes[at.end_ms.findIndex((ms) => ms >= startMs + minute * 60_000)][segment];
    const before = code(4, 3);
    const during = code(10, 3);
    expect(before, 'free before').toBeGreaterThan(40);
    expect(before).toBeLessThanOrEqual(250);
    expect(during, 'slow in the jam').toBeLessThan(25);
    expect(code(10, 0), 'and as free as before where it does not reach').toBeGreaterThan(40);
    await page.goto(`${rig.url}/?page=corridor&corridor=${encodeURIComponent(corridor.name)}`);
    const plot = page.getByTestId('spacetime').getByRole('application');
    await plot.focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowUp');
    await expect(page.getByTestId('spacetime').locator('figcaption')).toContainText(`Speed ratio ${(at.codes.at(-2)![3] / 100).toFixed(2)}`);
    await page.keyboard.press('Enter');
    await expect.poll(() => new URL(page.url()).searchParams.get('segment')).toBe(corridor.segments[3]);
  });

  test('a replay obeys, and the same steps colour the same frame', async ({ page, watch }) => {
    watch.expected.push('409');
    const first = await new Rig({ guarded: true }).start();
    const second = await new Rig({ guarded: true }).start();
    try {
      const [index] = longest(first.network, 'primary');
      const fixes = jam(first, index, 6, Date.UTC(2026, 8, 7, 8, 10), 600);
      const digests: string[] = [];
      for (const each of [first, second]) {
        await page.context().clearCookies();
        await page.context().addCookies([each.cookie]);
        const replay = each.replay(fixes, '--control', `127.0.0.1:${each.controlPort}`, '--paused', '--speed', '1');
        await page.goto(`${each.url}/?page=replay`);
        const reins = page.getByTestId('reins');
        await expect(reins).toContainText('Recording', { timeout: 30_000 });
        const at = page.getByTestId('replay-at');
        await expect(at).toHaveAttribute('data-paused', 'true');
        await reins.getByRole('button', { name: 'Play' }).click();
        await expect(at).not.toHaveAttribute('data-at', '');
        await reins.getByRole('button', { name: 'Pause' }).click();
        await expect(at).toHaveAttribute('data-paused', 'true');
        // To a place of its own, whatever was played before.
        const to = Date.UTC(2026, 8, 7, 8, 4);
        await page.evaluate((ms) => fetch(`/api/v1/replay/seek?to=${ms}`, { method: 'POST', headers: { 'x-arterial': '1' } }), to);
        await until('the recording stands there', async () => (await each.get<{ replay: { at_ms: number } }>('replay')).replay.at_ms >= to - 2000);
        await expect(at).toHaveAttribute('data-paused', 'true');
        await reins.getByLabel('Length of a step').selectOption('60');
        const from = (await each.get<{ replay: { at_ms: number } }>('replay')).replay.at_ms;
        await expect(at).toHaveAttribute('data-at', String(from));
        await reins.getByRole('button', { name: 'Step' }).click();
        await expect.poll(async () => Number(await at.getAttribute('data-at'))).toBe(from + 60_000);
        // What was published is counted, and nothing more comes: the newest frame is that of the step.
        const end = from + 60_000;
        digests.push(
          await until('the step is counted', async () => {
            const frames = await each.get<{ window_end_ms: number; city: { events: number } }>('snapshot');
            if (frames.window_end_ms < end - 10_000) return null;
            const codes = await each.get<{ window_end_ms: number; city: { events: number }; segments: unknown }>('snapshot');
            return codes.window_end_ms === frames.window_end_ms && codes.city.events === frames.city.events && JSON.stringify([codes.window_end_ms, codes.segments]);
          }),
        );
        await reins.locator('label select').selectOption('60');
        await until('the speed is taken', async () => (await each.get<{ replay: { speed: number } }>('replay')).replay.speed === 60);
        const back = await page.evaluate(() => fetch('/api/v1/replay/seek?to=1', { method: 'POST', headers: { 'x-arterial': '1' } }).then((r) => r.status)).catch(() => 0);
        expect(back).toBe(409);
        // A recorded frame is framed.
        await page.getByRole('button', { name: 'Frame before' }).click();
        await expect(page.locator('main.recorded')).toBeVisible();
        await expect(page.getByTestId('status')).toContainText('Recorded');
        await expect(page.getByTestId('digest')).toHaveText(/^[0-9a-f]{16}$/);
        await replay.stop('SIGTERM');
      }
      expect(digests[1]).toBe(digests[0]);
    } finally {
      await Promise.all([first.stop(), second.stop()]);
    }
  });
});

test('what is malformed, twice, late or disordered reaches the view of quality', async ({ page, watch }) => {
  // A socket that the browser opened ahead of need, on a machine too busy to keep it; what was asked comes again.
  watch.expected.push('ERR_SOCKET_NOT_CONNECTED');
  const rig = await new Rig({ vehicles: 100 }).start();
  try {
    const [index] = longest(rig.network, 'primary');
    const mqtt = await Mqtt.connect(rig.mqttPort, 'odd');
    const [lon, lat] = along(rig.network, [index], 20);
    const now = Date.now();
    for (let i = 0; i < 7; i++) mqtt.publish('arterial/v1/demo/position/odd', '{not json');
    const fix = { id: 'twice', ms: now - 3000, lon, lat, mps: 5 };
    for (let i = 0; i < 4; i++) mqtt.publish('arterial/v1/demo/position/twice', JSON.stringify({ source: 'twice', seq: 1, ts_ms: fix.ms, lon_deg: lon, lat_deg: lat, speed_mps: 5 }));
    await until('vehicles drive', async () => (await rig.get<{ vehicles: number }>('quality')).vehicles > 50);
    for (let i = 0; i < 5; i++) mqtt.position({ id: `late${i}`, ms: now - 1_200_000 - i * 1000, lon, lat, mps: 5 });
    await mqtt.acknowledged();
    await page.goto(`${rig.url}/?page=quality`);
    const quality = page.locator('main');
    await expect(quality.locator('[data-reason=malformed] td').first()).toHaveText('7', { timeout: 30_000 });
    await expect(quality.locator('tr[data-fate=duplicate] td').first()).toHaveText('3');
    await expect(quality.locator('[data-class=position] [data-fate=late]')).toHaveText('5', { timeout: 30_000 });
    // One fate each: the sums agree on the page.
    await expect.poll(async () => {
      const numbers = await Promise.all(['received', 'accepted', 'duplicate', 'rejected'].map((fate) => quality.locator(`tr[data-fate=${fate}] td`).first().textContent()));
      const [received, ...rest] = numbers.map((text) => Number(text?.replaceAll(',', '')));
      return received - rest.reduce((a, b) => a + b, 0);
    }).toBe(0);
    mqtt.close();
  } finally {
    await rig.stop();
  }
});

test('a city of 20,000 segments is drawn and panned', async ({ page }) => {
  test.slow();
  const network = `${(await import('node:os')).tmpdir()}/arterial-e2e-20k-${process.pid}.roads`;
  const { Process } = await import('./rig');
  const made = new Process(['network', 'generate', '--segments', '20000', '--out', network]);
  expect(await made.ended, made.log).toBe(0);
  const rig = await new Rig({ network }).start();
  try {
    expect(rig.network.segments.id.length).toBeGreaterThan(18_000);
    await page.goto(`${rig.url}/`);
    await framesDrawn(page, 2);
    const before = await page.getByTestId('map').screenshot();
    await page.getByRole('application').first().focus();
    for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowRight');
    await expect.poll(async () => (await page.getByTestId('map').screenshot()).equals(before)).toBe(false);
    expect(points(rig.network, 0).length).toBeGreaterThan(1);
    // The page goes before the server does: a page without its server has every reason to complain.
    await page.goto('about:blank');
  } finally {
    await rig.stop();
    (await import('node:fs')).rmSync(network, { force: true });
  }
});
