// Days of the calendar as YYYY-MM-DD, without a clock of the day in them.

const DAY_MS = 86_400_000;

/** The day so many days before today, by this browser's calendar. */
export function daysAgo(days: number, today = new Date()): string {
  return shift(`${today.getFullYear()}-${pad(today.getMonth() + 1)}-${pad(today.getDate())}`, -days);
}

export function shift(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** Monday is 1. */
export function weekdayOf(date: string): number {
  return (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7 + 1;
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}
