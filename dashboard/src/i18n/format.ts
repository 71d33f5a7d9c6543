// Numbers, shares and ages in the reader's language.

import { type Language, LOCALES } from './catalogue';

const MPS_TO_KMH = 3.6;

export class Format {
  readonly #locale: string;
  readonly #numbers = new Map<string, Intl.NumberFormat>();
  readonly #dates = new Map<string, Intl.DateTimeFormat>();

  /** Times are of the city's zone, or of this browser's while that is not known. */
  constructor(
    language: Language,
    readonly zone: string | undefined = undefined,
  ) {
    this.#locale = LOCALES[language];
  }

  number(value: number, digits = 0): string {
    return this.#with(`d${digits}`, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: 'negative' }).format(value);
  }

  /** As few digits as tell the value: 2, 1.5, 1.25. */
  short(value: number): string {
    return this.#with('s', { maximumFractionDigits: 2 }).format(value);
  }

  /** Counts in full while they fit their place, then shortened: 1.25M. */
  count(value: number): string {
    return value < 1_000_000 ? this.number(value) : this.#with('c', { notation: 'compact', maximumFractionDigits: 2 }).format(value);
  }

  percent(share: number): string {
    return this.#with(share < 0.1 ? 'p1' : 'p0', { style: 'percent', maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);
  }

  kmh(mps: number): string {
    return this.number(mps * MPS_TO_KMH, 0);
  }

  kmhFine(mps: number): string {
    return this.number(mps * MPS_TO_KMH, 1);
  }

  /** Three figures at most: delays range from seconds to thousands of hours. */
  delay(vehHPerH: number): string {
    return this.number(vehHPerH, vehHPerH < 10 ? 2 : vehHPerH < 100 ? 1 : 0);
  }

  /** Hours and minutes of the city's day, in the zone of the city. */
  clock(ms: number): string {
    return this.#date('clock', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(ms);
  }

  /** Hours, minutes and seconds of the city's day. */
  hms(ms: number): [number, number, number] {
    const parts = this.#date('hms', { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23', numberingSystem: 'latn' }).formatToParts(ms);
    const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
    return [of('hour'), of('minute'), of('second')];
  }

  moment(ms: number): string {
    return this.#date('moment', { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }).format(ms);
  }

  /** A day of the calendar, whatever the clock of this browser. */
  day(date: string): string {
    return this.#date('day', { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(`${date}T00:00:00Z`));
  }

  /** 1 is Monday. */
  weekday(day: number, width: 'short' | 'long' = 'short'): string {
    // The 5th of January 1970 was a Monday.
    return this.#date(`weekday ${width}`, { weekday: width, timeZone: 'UTC' }).format(Date.UTC(1970, 0, 4 + day));
  }

  /** A difference, always with its sign. */
  signed(value: number, digits = 1): string {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: 'exceptZero' } as const;
    return this.#with(`±${digits}`, options).format(value);
  }

  /** Minutes and seconds of a drive. */
  drive(seconds: number): string {
    const whole = Math.round(seconds);
    return `${this.number(Math.floor(whole / 60))}:${String(whole % 60).padStart(2, '0')}`;
  }

  age(ms: number, digits = 1): string {
    const s = Math.max(0, ms) / 1000;
    if (s < 10) return this.#unit(s, 'second', digits);
    if (s < 90) return this.#unit(s, 'second', 0);
    if (s < 90 * 60) return this.#unit(s / 60, 'minute', 0);
    if (s < 36 * 3600) return this.#unit(s / 3600, 'hour', 0);
    return this.#unit(s / 86_400, 'day', 0);
  }

  #unit(value: number, unit: string, digits: number): string {
    return this.#with(`${unit}${digits}`, {
      style: 'unit',
      unit,
      // Elsewhere the narrow form is ambiguous: m is also metre.
      unitDisplay: unit === 'second' ? 'narrow' : 'short',
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(value);
  }

  #date(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    let format = this.#dates.get(key);
    if (!format) {
      const zone = this.zone === undefined ? {} : { timeZone: this.zone };
      this.#dates.set(key, (format = new Intl.DateTimeFormat(this.#locale, { ...zone, ...options })));
    }
    return format;
  }

  #with(key: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
    let format = this.#numbers.get(key);
    if (!format) {
      format = new Intl.NumberFormat(this.#locale, options);
      this.#numbers.set(key, format);
    }
    return format;
  }
}
