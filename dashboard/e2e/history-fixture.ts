// Answers of history as the contract has them: a corridor that got a fifth worse, one that got better, one that did
// nothing. For what the page does with them; the server's own answers are tested where history is.

import type { Page } from '@playwright/test';

const place = (id: string, length_m: number) => ({ kind: 'corridor', id, name: id, length_m });
const period = (from: string, to: string, delay: number, covered: number) => ({
  from, to, days: 5, covered_share: covered, vehicle_km_per_day: 8200, vehicle_h_per_day: 240, delay_vehicle_h_per_day: delay, travel_time_s: 300 + delay,
});
const interval = (value: number, half: number) => ({ value, low: value - half, high: value + half });

export const RANKED = [
  { id: 'Harbour Street northbound', before: 100, change: 20, half: 6, verdict: 'increase', covered: 0.93 },
  { id: 'Mill Road eastbound', before: 60, change: -9, half: 4, verdict: 'decrease', covered: 0.88 },
  { id: 'Castle Lane southbound', before: 40, change: 2, half: 7, verdict: 'no_clear_change', covered: 0.41 },
  { id: 'Orchard Avenue westbound', before: 12, change: 0.5, half: 9, verdict: 'too_little_data', covered: 0.2 },
];

export async function serveHistory(page: Page): Promise<void> {
  const zone = 'Europe/Berlin';
  await page.route('**/api/v1/history**', async (route) => {
    const url = new URL(route.request().url());
    const of = (name: string, fallback: string): string => url.searchParams.get(name) ?? fallback;
    const [before, after] = [of('before', '2026-09-07..2026-09-13').split('..'), of('after', '2026-09-14..2026-09-20').split('..')];
    const row = (r: (typeof RANKED)[number]) => ({
      place: place(r.id, 2100),
      before: period(before[0], before[1], r.before, r.covered),
      after: period(after[0], after[1], r.before + r.change, r.covered),
      change: { delay_vehicle_h_per_day: interval(r.change, r.half), delay_percent: interval((r.change / r.before) * 100, (r.half / r.before) * 100), travel_time_percent: r.verdict === 'too_little_data' ? null : interval((r.change / r.before) * 80, (r.half / r.before) * 80) },
      verdict: r.verdict,
    });
    const days = (n: number) => Array.from({ length: n }, (_, i) => new Date(Date.UTC(2026, 8, 1 + i)).toISOString().slice(0, 10));
    const answers: Record<string, () => unknown> = {
      '/api/v1/history': () => ({ zone, from: '2026-09-01', to: '2026-09-20', days: days(20).map((date) => ({ date, rows: 1000, complete: true, covered_share: 0.9 })) }),
      '/api/v1/history/ranking': () => ({ zone, rows: [...RANKED].reverse().map((r, i) => ({ rank: i + 1, ...row(r) })) }),
      '/api/v1/history/compare': () => ({
        zone, ...row(RANKED.find((r) => r.id === (url.searchParams.get('corridor') ?? url.searchParams.get('segment'))) ?? RANKED[0]),
        control: url.searchParams.has('control') ? { place: place('Castle Lane southbound', 900), change: row(RANKED[2]).change } : null,
        confidence: 0.95, resamples: 2000, method: 'Bootstrap over days, matched by weekday.',
      }),
      '/api/v1/history/typical-day': () => ({
        zone, place: place(of('corridor', 'x'), 2100),
        rows: [1, 2, 3, 4, 5, 6, 7].flatMap((weekday) => Array.from({ length: 96 }, (_, quarter) => {
          const peak = Math.exp(-((quarter - 32) ** 2) / 40) + 0.8 * Math.exp(-((quarter - 70) ** 2) / 60);
          const p50 = 240 + 180 * peak * (weekday < 6 ? 1 : 0.3);
          const bad = quarter < 3;
          return { weekday, quarter, speed_mps: null, travel_time_s: bad ? null : { p10: p50 * 0.86, p50, p90: p50 * 1.25 }, delay_vehicle_h_per_h: peak, days: 12, covered_share: 0.93, imputed: false };
        })),
      }),
      '/api/v1/history/bottlenecks': () => ({ zone, rows: RANKED.slice(0, 3).map((r, k) => ({ place: place(r.id, 600), days_active: 17 - 4 * k, hours: 31 - 8 * k, delay_vehicle_h: 420 / (k + 1), calendar: days(28).map((date, i) => ({ date, minutes: (i * 37 * (k + 1)) % 200 })) })) }),
      '/api/v1/history/quality': () => ({ zone, rows: ['probes', 'detectors'].flatMap((source, k) => days(28).map((date, i) => ({ source, date, received: 90_000, accepted: 89_000, duplicate: 700, rejected: 300, covered_share: (i * 13 + k * 7) % 10 > 1 ? 0.9 : 0.3, silent_minutes: i % 9 === 0 ? 30 : 0 }))) }),
    };
    const answer = answers[url.pathname];
    await route.fulfill(answer ? { json: answer() } : { status: 404, json: { error: { code: 'not_found', message: 'no such path' } } });
  });
}
