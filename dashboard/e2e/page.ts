// What every test needs: a page that reports each request that leaves the origin and each
// complaint of the browser, and conditions to wait for.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test as base, expect, type Page } from '@playwright/test';

export interface Watch {
  /** Words of complaints that a test brings about on purpose. */
  expected: string[];
  foreign: string[];
  complaints: string[];
}

export const test = base.extend<{ watch: Watch }>({
  watch: [
    async ({ page }, use) => {
      const watch: Watch = { expected: [], foreign: [], complaints: [] };
      /** The origin is where the page was last told to go. */
      let host = '';
      const note = (url: string) => {
        if (/^(https?|wss?):/.test(url) && new URL(url).host !== host) watch.foreign.push(url);
      };
      page.on('request', (request) => {
        if (request.isNavigationRequest() && request.frame() === page.mainFrame()) host = new URL(request.url()).host;
        else note(request.url());
      });
      page.on('websocket', (socket) => note(socket.url()));
      page.on('pageerror', (error) => watch.complaints.push(error.message));
      page.on('console', (message) => {
        // A browser logs every 404; that there is no history is an answer like another.
        if (message.location().url.includes('/api/v1/history')) return;
        // Tests that end a process mean its connections to fail.
        if (watch.expected.some((words) => message.text().includes(words))) return;
        if (message.type() === 'error' || message.type() === 'warning') watch.complaints.push(message.text());
      });
      await use(watch);
      expect(watch.foreign, 'requests that left the origin').toEqual([]);
      expect(watch.complaints, 'complaints in the console').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export async function framesDrawn(page: Page, atLeast: number): Promise<void> {
  await page.waitForFunction((n) => (window.__arterial?.frames ?? 0) >= n, atLeast, { timeout: 60_000 });
}

export async function colouredSegments(page: Page, atLeast: number): Promise<void> {
  await page.waitForFunction((n) => (window.__arterial?.coloured ?? 0) >= n, atLeast, { timeout: 60_000 });
}

/** No panel waits for its first answer any more. */
export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('main section, main article') && !document.querySelector('main .skeleton'), null, { timeout: 60_000 });
}

/** Hash of the map as it stands on screen. */
export async function mapPixels(page: Page): Promise<string> {
  return createHash('sha256').update(await page.getByTestId('map').screenshot()).digest('hex');
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Violations as "rule: where", so that a failure can be read without the report. */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const axe = (window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { target: unknown[] }[] }[] }> } }).axe;
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
  });
}
