import { describe, expect, it } from 'vitest';
import { CATALOGUES, fill, type Key, LANGUAGES, preferredLanguage } from './catalogue';
import { en } from './en';
import { Format } from './format';

const keys = Object.keys(en).sort();
const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort();

describe.each(LANGUAGES)('catalogue %s', (language) => {
  const catalogue = CATALOGUES[language];

  it('has exactly the keys of English', () => {
    expect(Object.keys(catalogue).sort()).toEqual(keys);
  });

  it.each(keys)('%s says something, with the same holes', (key) => {
    const text = catalogue[key as Key];
    expect(text.trim()).not.toBe('');
    expect(holes(text)).toEqual(holes(en[key as Key]));
  });
});

it('fills holes and leaves an unknown one visible', () => {
  expect(fill('n = {n}, {what}', { n: 3 })).toBe('n = 3, {what}');
});

it('takes the first language of the reader that it has', () => {
  expect(preferredLanguage(['fr-FR', 'zh-Hans-CN', 'de'])).toBe('zh');
  expect(preferredLanguage(['fr'])).toBe('en');
});

it('writes numbers as the language does', () => {
  expect(new Format('en').number(1234.5, 1)).toBe('1,234.5');
  expect(new Format('de').number(1234.5, 1)).toBe('1.234,5');
  expect(new Format('en').kmh(10)).toBe('36');
  expect(new Format('en').number(-0.001, 2)).toBe('0.00');
  expect(new Format('en').signed(-2.04)).toBe('-2.0');
  expect(new Format('en').age(-5)).toBe('0.0s');
  expect(new Format('en').age(300_000)).toBe('5 min');
});
