// Words without their keys: the build leaves the keys out of every language but English, which has them in the same order.

import { en } from './en';

export function keyed(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.keys(en).map((key, i) => [key, words[i]]));
}
