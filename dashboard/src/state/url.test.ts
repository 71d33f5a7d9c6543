import { expect, it } from 'vitest';
import { readChoices, writeChoices } from './url';

it('keeps a default page free of parameters', () => {
  expect(writeChoices(readChoices(''))).toBe('');
});

it.each(['?window=300', '?window=3600', '?lang=de&theme=dark', '?segment=00ff00ff00ff00ff', '?view=9.99300,53.55100,0.25'])('survives %s', (search) => {
  expect(writeChoices(readChoices(search))).toBe(search);
});

it('falls back where the address makes no sense', () => {
  const choices = readChoices('?window=7&lang=xx&theme=pink&segment=%3Cb%3E&view=1,2');
  expect(choices).toEqual({ window: 60, lang: null, theme: 'auto', segment: null, view: null });
});
