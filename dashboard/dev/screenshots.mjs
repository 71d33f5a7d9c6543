// Pictures of the page for a human to judge: node dev/screenshots.mjs URL FOLDER

import { mkdirSync } from 'node:fs';
import { chromium } from '@playwright/test';

const [url = 'http://127.0.0.1:8090', folder = 'test-results/pictures'] = process.argv.slice(2);
const SHOTS = [
  { name: 'light', width: 1440, height: 900, query: 'theme=light' },
  { name: 'dark-de', width: 1440, height: 900, query: 'theme=dark&lang=de', pick: true },
  { name: 'phone-light-zh', width: 390, height: 844, query: 'theme=light&lang=zh' },
  { name: 'phone-dark', width: 390, height: 844, query: 'theme=dark', pick: true, full: true },
  { name: 'close', width: 1440, height: 900, query: 'theme=light&view=9.993,53.551,0.9' },
];

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
for (const { name, width, height, query, pick, full } of SHOTS) {
  const page = await browser.newPage({ viewport: { width, height } });
  page.on('console', (message) => message.type() === 'error' && console.error(name, message.text()));
  page.on('pageerror', (error) => console.error(name, error.message));
  await page.goto(`${url}/?${query}`);
  await page.waitForFunction(() => window.__arterial?.frames >= 2, null, { timeout: 20_000 }).catch(() => console.error(name, 'no frames'));
  if (pick) await page.locator('#ranking tbody button').nth(2).click();
  await page.waitForFunction((n) => window.__arterial?.frames > n, await page.evaluate(() => window.__arterial?.frames ?? 0), { timeout: 5_000 }).catch(() => {});
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: full ?? false });
  console.log(name, JSON.stringify(await page.evaluate(() => window.__arterial)), page.url());
  await page.close();
}
await browser.close();
