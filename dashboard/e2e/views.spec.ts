// Every view: axe in both themes, three languages without a hole, 200 % zoom and a phone, an address that says it all.

import type {} from '../src/state/debug';
import { PAGES } from '../src/state/url';
import { serveHistory } from './history-fixture';
import { axeViolations, colouredSegments, expect, settled, test } from './page';

for (const theme of ['light', 'dark']) {
  for (const view of PAGES) {
    test(`axe finds nothing in ${view}, ${theme}`, async ({ page }) => {
      await serveHistory(page);
      await page.goto(`/?page=${view}&theme=${theme}`);
      await settled(page);
      if (view === 'compare') await page.locator('[data-row]').first().click();
      await settled(page);
      expect(await axeViolations(page)).toEqual([]);
    });
  }
}

test('the methods, the search and what says that there is no history pass axe too', async ({ page }) => {
  await page.goto('/?page=compare');
  await expect(page.getByTestId('missing').first()).toContainText('no history');
  expect(await axeViolations(page)).toEqual([]);
  await page.keyboard.press('?');
  expect(await axeViolations(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  expect(await axeViolations(page)).toEqual([]);
});

for (const [name, size] of [['a phone', { width: 390, height: 844 }], ['200 % zoom', { width: 640, height: 400 }]] as const) {
  for (const view of PAGES) {
    test(`${view} loses nothing on ${name}`, async ({ page }) => {
      await serveHistory(page);
      await page.setViewportSize(size);
      await page.goto(`/?page=${view}&lang=de`);
      await settled(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(size.width);
      // What does not fit can be scrolled to: nothing is cut off without a way to it.
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('main *, header *, nav *')]
          .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'hidden' && getComputedStyle(e).textOverflow !== 'ellipsis' && !e.closest('.map, .visually-hidden, figure') && e.clientWidth > 1)
          .map((e) => `${e.tagName}.${e.className}`),
      );
      expect(cut).toEqual([]);
    });
  }
}

for (const lang of ['en', 'de', 'zh']) {
  test(`no word is missing in ${lang}`, async ({ page }) => {
    await serveHistory(page);
    for (const view of PAGES) {
      await page.goto(`/?page=${view}&lang=${lang}`);
      await settled(page);
      const text = await page.evaluate(() => document.body.innerText);
      expect(text, view).not.toMatch(/\{\w+\}|\b(undefined|NaN|null)\b/);
      expect(text, view).not.toMatch(/\b(nav|figure|compare|quality|replay|segment|state|control)\.[a-z]/i);
      if (view === 'quality') expect((await page.locator('td .health, td.wrap').allInnerTexts()).join(' ')).not.toMatch(/[a-z]_[a-z]/);
    }
  });
}

test('numbers are written as the language does', async ({ page }) => {
  await page.goto('/?lang=de');
  await colouredSegments(page, 100);
  await expect(page.locator('[data-figure=speed] .value')).toHaveText(/^\d+,\d\s*km\/h$/);
  await page.goto('/?lang=en');
  await expect(page.locator('[data-figure=speed] .value')).toHaveText(/^\d+\.\d\s*km\/h$/);
});

test('a link reproduces its view, and back returns to the one before', async ({ page }) => {
  await serveHistory(page);
  await page.goto('/?window=300&theme=dark');
  await page.getByRole('link', { name: 'Compare' }).click();
  await page.locator('[data-row]').first().click();
  await page.getByLabel('To hour').selectOption('19');
  await page.getByLabel('From hour').selectOption('16');
  await expect.poll(() => new URL(page.url()).searchParams.get('hours')).toBe('16-19');
  const { href } = new URL(page.url());
  const rows = async (): Promise<string> => (await page.getByTestId('compare').locator('tbody').innerText()).replace(/\s+/g, ' ');
  const before = await rows();
  await page.goto(href);
  await expect.poll(rows).toBe(before);
  await expect(page.getByLabel('From hour')).toHaveValue('16');
  await expect(page.getByTestId('compare-detail')).toBeVisible();
  await page.getByRole('link', { name: 'Data quality' }).click();
  await expect(page.getByTestId('quality')).toBeVisible();
  await page.goBack();
  await expect(page.getByTestId('compare')).toBeVisible();
  expect(new URL(page.url()).searchParams.get('hours')).toBe('16-19');
});

test('Compare is done by keyboard alone', async ({ page }) => {
  await serveHistory(page);
  await page.goto('/?page=compare');
  await settled(page);
  await page.keyboard.press('j');
  await expect(page.getByTestId('compare-detail')).toContainText('Harbour Street');
  await page.keyboard.press('j');
  await expect(page.getByTestId('compare-detail')).toContainText('Mill Road');
  const tabTo = async (label: string): Promise<void> => {
    await page.getByRole('link', { name: 'Compare' }).focus();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      const here = await page.evaluate(() => {
        const e = document.activeElement as HTMLInputElement;
        return [e.getAttribute('aria-label'), e.labels?.[0]?.innerText, e.innerText].filter(Boolean).join(' ');
      });
      if (here.includes(label)) return;
    }
    throw new Error(`the keyboard never reaches ${label}`);
  };
  await tabTo('4 week');
  await page.keyboard.press('Enter');
  await expect.poll(() => new URL(page.url()).searchParams.get('before')).toBe('2026-07-27..2026-08-23');
  await tabTo('Sat');
  await page.keyboard.press('Space');
  await expect.poll(() => new URL(page.url()).searchParams.get('weekdays')).toBe('123456');
  await tabTo('To hour');
  await page.keyboard.type('19');
  await expect.poll(() => new URL(page.url()).searchParams.get('hours')).toBe('6-19');
  await tabTo('Without these days');
  await page.keyboard.type('2026-09-15');
  await page.keyboard.press('Enter');
  await expect.poll(() => new URL(page.url()).searchParams.get('without')).toBe('2026-09-15');
  await tabTo('Segments');
  expect(await axeViolations(page)).toEqual([]);
});

test('Compare ranks by vehicle hours, and says where nothing is clear', async ({ page }) => {
  await serveHistory(page);
  await page.goto('/?page=compare');
  const rows = page.getByTestId('compare').locator('tbody tr');
  await expect(rows.first()).toContainText('Harbour Street northbound');
  await expect(rows.first()).toContainText('worse');
  await expect(rows.nth(2)).toContainText('no clear change');
  await expect(rows.nth(2).locator('td.hatched')).toHaveText('41%');
});

test('search, walking rows, pause and help work by key', async ({ page }) => {
  await page.goto('/');
  await colouredSegments(page, 100);
  await page.keyboard.press('/');
  await page.keyboard.type('Data qu');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('quality')).toBeVisible();
  await page.goBack();
  await page.keyboard.press('j');
  const first = new URL(page.url()).searchParams.get('segment');
  await page.keyboard.press('j');
  await expect.poll(() => new URL(page.url()).searchParams.get('segment')).not.toBe(first);
  await page.locator('h1').click();
  await page.keyboard.press(' ');
  await expect(page.getByTestId('status')).toContainText('Paused');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toContainText('Travel time index');
  await page.keyboard.press('Escape');
  await page.locator('[data-figure=delay] .why').click();
  await expect(page.locator('[data-topic=delay]')).toContainText(/n = [\d,]+ vehicles/);
});

test('the report is one page of A4', async ({ page }) => {
  await page.goto('/?page=report');
  await settled(page);
  await page.waitForFunction(() => (window.__arterial?.coloured ?? 0) > 50);
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
  expect(pdf.match(/\/Type\s*\/Page\b(?!s)/g)).toHaveLength(1);
  const [, width, height] = /\/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)/.exec(pdf) ?? [];
  expect([Math.round(Number(width)), Math.round(Number(height))]).toEqual([595, 842]);
});

test('the clock is that of the city, also on the day on which it is changed', async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL: baseURL!, timezoneId: 'Pacific/Auckland', locale: 'en' });
  const page = await context.newPage();
  await serveHistory(page);
  // 25 October 2026, 00:30 and 01:30 UTC: both are half past two in Berlin.
  const ends = [Date.UTC(2026, 9, 25, 0, 30), Date.UTC(2026, 9, 25, 1, 30)];
  await page.route('**/api/v1/recent', (route) => route.fulfill({ json: { spacing_ms: 30_000, window_s: 60, end_ms: ends, digest: ['a', 'b'] } }));
  const live = await (await page.request.get('/api/v1/snapshot')).json();
  const { segments, ...head } = live;
  await page.route('**/api/v1/recent/frame**', (route) => route.fulfill({ json: { ...head, window_end_ms: ends[0], worst: segments } }));
  await page.route('**/api/v1/recent/codes**', (route) => route.fulfill({ status: 404, json: { error: { code: 'no_frame', message: 'none' } } }));
  for (const end of ends) {
    await page.goto(`/?page=replay&at=${end}`);
    await expect(page.getByTestId('timeline').locator('.state')).toContainText('Oct 25, 2026, 02:30:00');
  }
  await context.close();
});
