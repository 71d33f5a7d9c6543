// Everything a reader can choose is in the address, so that a link shows the same picture.

import { WINDOWS, type WindowS } from '../api/contract';
import { type Language, LANGUAGES } from '../i18n/catalogue';

export const PAGES = ['live', 'bottlenecks', 'corridor', 'compare', 'quality', 'replay', 'signals', 'report'] as const;
export type Page = (typeof PAGES)[number];
export type Theme = 'auto' | 'light' | 'dark';

export interface Choices {
  page: Page;
  window: WindowS;
  lang: Language | null;
  theme: Theme;
  /** Id of the selected segment. */
  segment: string | null;
  /** Longitude, latitude, pixels per metre. */
  view: [number, number, number] | null;
  /** Name of a corridor. */
  corridor: string | null;
  /** Name of a signal, and one of its phases. */
  signal: string | null;
  phase: string | null;
  /** What Compare ranks, its two periods and what it leaves out. */
  kind: 'corridor' | 'segment';
  before: string | null;
  after: string | null;
  weekdays: string;
  hours: string;
  without: string | null;
  control: string | null;
  /** The row of Compare whose detail is open. */
  place: string | null;
  /** End of the frame that Replay shows, milliseconds. */
  at: string | null;
}

const DATE = String.raw`\d{4}-\d\d-\d\d`;
const PERIOD = new RegExp(`^${DATE}\\.\\.${DATE}$`);
const NAME = /^[^\u0000-\u001f]{1,120}$/;

/** Choices that are a text of one form, with what stands for none. */
const TEXTS = {
  segment: [/^[0-9a-f]{16}$/, null],
  corridor: [NAME, null],
  signal: [NAME, null],
  phase: [/^\d{1,5}$/, null],
  kind: [/^(corridor|segment)$/, 'corridor'],
  before: [PERIOD, null],
  after: [PERIOD, null],
  weekdays: [/^[1-7]{1,7}$/, '12345'],
  hours: [/^(\d|1\d|2[0-3])-(\d|1\d|2[0-4])$/, '6-10'],
  without: [new RegExp(`^${DATE}(,${DATE})*$`), null],
  control: [NAME, null],
  place: [NAME, null],
  at: [/^\d{1,15}$/, null],
} as const satisfies Partial<Record<keyof Choices, readonly [RegExp, string | null]>>;

export function readChoices(search: string): Choices {
  const query = new URLSearchParams(search);
  const lang = query.get('lang') as Language;
  const theme = query.get('theme');
  const texts: Record<string, string | null> = {};
  for (const [name, [form, none]] of Object.entries(TEXTS)) {
    const text = query.get(name);
    texts[name] = text !== null && form.test(text) ? text : none;
  }
  return {
    ...(texts as unknown as Pick<Choices, keyof typeof TEXTS>),
    page: PAGES.find((page) => page === query.get('page')) ?? 'live',
    window: WINDOWS.find((seconds) => String(seconds) === query.get('window')) ?? 60,
    lang: LANGUAGES.includes(lang) ? lang : null,
    theme: theme === 'light' || theme === 'dark' ? theme : 'auto',
    view: readView(query.get('view')),
  };
}

function readView(text: string | null): Choices['view'] {
  const parts = (text ?? '').split(',').map(Number);
  const [lon, lat, scale] = parts;
  const valid = parts.length === 3 && Math.abs(lon) <= 180 && Math.abs(lat) <= 85 && scale > 0 && scale < 100;
  return valid ? [lon, lat, scale] : null;
}

/** Defaults are left out: a fresh page has a clean address. */
export function writeChoices(choices: Choices): string {
  const query = new URLSearchParams();
  if (choices.page !== 'live') query.set('page', choices.page);
  if (choices.window !== 60) query.set('window', String(choices.window));
  if (choices.lang) query.set('lang', choices.lang);
  if (choices.theme !== 'auto') query.set('theme', choices.theme);
  for (const [name, [, none]] of Object.entries(TEXTS)) {
    const text = choices[name as keyof typeof TEXTS];
    if (text !== none && text !== null) query.set(name, text);
  }
  if (choices.view) {
    const [lon, lat, scale] = choices.view;
    query.set('view', `${lon.toFixed(5)},${lat.toFixed(5)},${Number(scale.toPrecision(4))}`);
  }
  const text = query.toString().replaceAll('%2C', ',');
  return text === '' ? '' : `?${text}`;
}
