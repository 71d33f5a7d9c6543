// Pictures of every view in both themes: node dev/screenshots.mjs URL FOLDER [--only NAME] [--lang de] [--width 390] [--webp]

import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, lang: { type: 'string', default: 'en' }, width: { type: 'string', default: '1280' }, theme: { type: 'string' }, webp: { type: 'boolean', default: false } },
});
const [url = 'http://127.0.0.1:8080', folder = 'test-results/pictures'] = positionals;
const width = Number(options.width);
const VIEWS = ['live', 'bottlenecks', 'corridor', 'compare', 'quality', 'replay', 'signals', 'report'].filter((v) => !options.only || options.only.split(',').includes(v));

/** The same picture in a tenth of the bytes, by the browser's own encoder. */
async function webp(page, png) {
  const base64 = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext('2d').drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.8 });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = '';
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  }, png.toString('base64'));
  return Buffer.from(base64, 'base64');
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
for (const theme of options.theme ? [options.theme] : ['light', 'dark']) {
  const page = await browser.newPage({ viewport: { width, height: width < 600 ? 844 : 800 }, locale: 'en-GB', timezoneId: 'Europe/Berlin' });
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && console.error(message.text()));
  page.on('pageerror', (error) => console.error(error.message));
  for (const view of VIEWS) {
    const recent = await (await page.request.get(`${url}/api/v1/recent`)).json();
    const at = recent.end_ms.at(-Math.min(4, recent.end_ms.length));
    await page.goto(`${url}/?page=${view}&theme=${theme}&lang=${options.lang}${view === 'replay' && at ? `&at=${at}` : ''}`);
    await page.waitForFunction(() => !document.querySelector('main .skeleton'), null, { timeout: 15_000 }).catch(() => console.error(view, 'still loading'));
    if (['live', 'bottlenecks', 'report', 'replay'].includes(view)) await page.waitForFunction(() => window.__arterial?.coloured > 50, null, { timeout: 20_000 }).catch(() => console.error(view, 'no colours'));
    if (view === 'live') await page.locator('#ranking tbody button').nth(2).click({ timeout: 5_000 }).catch(() => {});
    await page.mouse.move(3, 3);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const png = await page.screenshot({ fullPage: width < 600 });
    if (options.webp) writeFileSync(`${folder}/${view}-${theme}.webp`, await webp(page, png));
    else writeFileSync(`${folder}/${view}-${theme}.png`, png);
  }
  await page.close();
}
await browser.close();
