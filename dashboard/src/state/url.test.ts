import { expect, it } from 'vitest';
import { readChoices, writeChoices } from './url';

it('keeps a default page free of parameters', () => {
  expect(writeChoices(readChoices(''))).toBe('');
});

it.each([
  '?window=300',
  '?window=3600',
  '?lang=de&theme=dark',
  '?segment=00ff00ff00ff00ff',
  '?view=9.99300,53.55100,0.25',
  '?page=compare&kind=segment&before=2026-09-07..2026-09-13&after=2026-09-14..2026-09-20&weekdays=67&hours=16-19&without=2026-09-15,2026-09-16',
  '?page=replay&at=1790000000000',
  '?page=signals&signal=7115&phase=2',
])('survives %s', (search) => {
  expect(writeChoices(readChoices(search))).toBe(search);
});

it('keeps the name of a street as it is written', () => {
  const choices = { ...readChoices(''), page: 'corridor' as const, corridor: 'Straße des 17. Juni → O & W' };
  expect(readChoices(writeChoices(choices)).corridor).toBe(choices.corridor);
});

it('falls back where the address makes no sense', () => {
  const nonsense = '?page=x&window=7&lang=xx&theme=pink&segment=%3Cb%3E&view=1,2&before=now&weekdays=9&hours=25-30&kind=x&at=-1';
  expect(readChoices(nonsense)).toEqual(readChoices(''));
});
