// Anyone can read the page: no violation that axe can find, in both themes and on a phone.

import type {} from '../src/state/debug';
import { axeViolations, colouredSegments, expect, test } from './page';

for (const theme of ['light', 'dark']) {
  test(`axe finds nothing in ${theme}`, async ({ page }) => {
    await page.goto(`/?theme=${theme}`);
    await colouredSegments(page, 200);
    // Held still: a segment that leaves the table in the next second explains nothing.
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('#ranking tbody button').first().click();
    await expect(page.getByTestId('selected')).toBeVisible();
    await page.getByTestId('selected').getByRole('button', { name: 'Speed', exact: true }).click();
    await expect(page.getByTestId('explanation')).toContainText('n =');
    expect(await axeViolations(page)).toEqual([]);
  });
}

test('axe finds nothing on a phone, and nothing is wider than its screen', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/?lang=de');
  await colouredSegments(page, 200);
  expect(await axeViolations(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
});

test('the map obeys the keyboard and tells the address', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 200);
  await page.getByRole('application').focus();
  await page.keyboard.press('+');
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => new URL(page.url()).searchParams.get('view')).not.toBeNull();
  await page.keyboard.press('0');
  await expect.poll(() => new URL(page.url()).searchParams.get('view')).toBeNull();
});
