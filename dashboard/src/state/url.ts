// Everything a reader can choose is in the address, so that a link shows the same picture.

import { WINDOWS, type WindowS } from '../api/contract';
import { type Language, LANGUAGES } from '../i18n/catalogue';

export type Theme = 'auto' | 'light' | 'dark';

export interface Choices {
  window: WindowS;
  lang: Language | null;
  theme: Theme;
  /** Id of the selected segment. */
  segment: string | null;
  /** Longitude, latitude, pixels per metre. */
  view: [number, number, number] | null;
}

export function readChoices(search: string): Choices {
  const query = new URLSearchParams(search);
  const lang = query.get('lang') as Language;
  const theme = query.get('theme');
  const segment = query.get('segment');
  return {
    window: WINDOWS.find((seconds) => String(seconds) === query.get('window')) ?? 60,
    lang: LANGUAGES.includes(lang) ? lang : null,
    theme: theme === 'light' || theme === 'dark' ? theme : 'auto',
    segment: segment && /^[0-9a-f]{16}$/.test(segment) ? segment : null,
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
  if (choices.window !== 60) query.set('window', String(choices.window));
  if (choices.lang) query.set('lang', choices.lang);
  if (choices.theme !== 'auto') query.set('theme', choices.theme);
  if (choices.segment) query.set('segment', choices.segment);
  if (choices.view) {
    const [lon, lat, scale] = choices.view;
    query.set('view', `${lon.toFixed(5)},${lat.toFixed(5)},${Number(scale.toPrecision(4))}`);
  }
  const text = query.toString().replaceAll('%2C', ',');
  return text === '' ? '' : `?${text}`;
}
