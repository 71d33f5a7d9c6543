// The address holds the choices, and the server answers honestly for addresses it does not know.

import type {} from '../src/state/debug';
import { expect, framesDrawn, test } from './page';

test('window, language and theme survive a reload', async ({ page }) => {
  await page.goto('/');
  await framesDrawn(page, 1);
  await page.getByRole('radio', { name: '5 min', exact: true }).check();
  await page.getByLabel('Colour scheme').selectOption('dark');
  await page.getByLabel('Language').selectOption('de');
  await expect.poll(() => page.url()).toContain('window=300');
  await page.reload();
  await framesDrawn(page, 1);
  const query = new URL(page.url()).searchParams;
  expect([query.get('window'), query.get('lang'), query.get('theme')]).toEqual(['300', 'de', 'dark']);
  await expect(page.locator('html')).toHaveAttribute('lang', 'de-DE');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(page.locator('input[name=window][value="300"]')).toBeChecked();
  await expect(page.getByRole('heading', { name: 'Langsamste Abschnitte' })).toBeVisible();
});

test('an unknown route of the API is 404 in JSON', async ({ request }) => {
  const reply = await request.get('/api/v1/no-such-thing');
  expect(reply.status()).toBe(404);
  expect(reply.headers()['content-type']).toContain('application/json');
  const body = await reply.json();
  expect(typeof body.error.code).toBe('string');
  expect(typeof body.error.message).toBe('string');
});

test('a missing asset is 404, not the page', async ({ request }) => {
  const reply = await request.get('/assets/no-such-file-00000000.js');
  expect(reply.status()).toBe(404);
  expect(await reply.text()).not.toContain('id="app"');
});

test('the page comes with a strict content policy', async ({ request }) => {
  const policy = (await request.get('/')).headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toMatch(/script-src[^;]*unsafe/);
});
