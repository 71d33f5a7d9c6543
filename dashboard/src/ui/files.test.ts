import { expect, it } from 'vitest';
import { csv } from './files';

it('quotes what needs it and leaves numbers alone', () => {
  expect(csv(['a', 'b'], [['x, "y"', -1.5], [null, true]])).toBe('a,b\r\n"x, ""y""",-1.5\r\n,true\r\n');
});

it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx'])('%s is no formula in a spreadsheet', (text) => {
  expect(csv(['a'], [[text]])).toBe(`a\r\n'${text}\r\n`);
});
