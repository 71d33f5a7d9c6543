// The map lives: segments take on colour and the colours move.

import type {} from '../src/state/debug';
import { colouredSegments, expect, framesDrawn, mapPixels, test } from './page';

test('at least 200 segments are coloured within a minute', async ({ page }) => {
  await page.goto('/');
  await framesDrawn(page, 1);
  await colouredSegments(page, 200);
  await expect(page.getByTestId('status')).toHaveText('Live');
  expect(Number(await page.evaluate(() => document.documentElement.dataset.frames))).toBeGreaterThan(0);
});

test('coloured segments move from frame to frame', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  const before = await page.evaluate(() => window.__arterial);
  const pixels = await mapPixels(page);
  await page.waitForFunction(
    ({ digest, frames }) => window.__arterial.digest !== digest && window.__arterial.frames > frames,
    before,
    { timeout: 60_000 },
  );
  await expect.poll(() => mapPixels(page), { timeout: 30_000 }).not.toBe(pixels);
  const after = await page.evaluate(() => window.__arterial);
  expect(after.lastWindowEndMs).toBeGreaterThan(before.lastWindowEndMs ?? 0);
});

test('figures and table speak of the same moment as the map', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  await expect(page.locator('[data-figure=speed] .value')).toHaveText(/^\d+\.\d\s*km\/h$/);
  await expect(page.locator('[data-figure=speed] .note')).toHaveText(/^n = [\d,]+ vehicles$/);
  await expect(page.locator('#ranking tbody tr')).toHaveCount(20);
  const ratios = (await page.locator('#ranking tbody td.ratio').allTextContents()).map(Number.parseFloat);
  expect(ratios).toEqual([...ratios].sort((a, b) => a - b));
});

test('a row of the table selects its segment on the map and in the address', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  const button = page.locator('#ranking tbody button').first();
  const name = await button.locator('.text').textContent();
  await button.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('selected')).toBeVisible();
  if (name) await expect(page.getByTestId('selected').locator('strong')).toHaveText(/\S/);
  await expect.poll(() => new URL(page.url()).searchParams.get('segment')).toMatch(/^[0-9a-f]{16}$/);
});
