import { expect, it } from 'vitest';
import { clockTicks, runs, ticks } from './scale';

it.each([
  [0, 1, 4, [0, 0.25, 0.5, 0.75, 1]],
  [0, 37, 4, [0, 10, 20, 30, 40]],
  [-3, 9, 3, [-5, 0, 5, 10]],
  [2, 2, 3, [2]],
])('round places from %s to %s', (low, high, about, expected) => {
  expect(ticks(low, high, about)).toEqual(expected);
});

it('breaks a series at its gaps', () => {
  expect(runs([null, 1, 2, null, null, 3])).toEqual([[1, 2], [5]]);
  expect(runs([])).toEqual([]);
});

it('labels full minutes only', () => {
  const from = Date.UTC(2026, 9, 1, 7, 58, 30);
  expect(clockTicks(from, from + 12 * 60_000, 3).map((ms) => new Date(ms).toISOString().slice(11, 16))).toEqual(['08:00', '08:05', '08:10']);
});
