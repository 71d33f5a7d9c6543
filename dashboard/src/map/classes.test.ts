import { describe, expect, it } from 'vitest';
import { bucketOfByte, classOfRatio, NO_DATA, PALETTES, ratioByte, roadRank, SPEED_CLASSES, SUPPRESSED } from './classes';

function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const [r, g, b2] = [1, 3, 5].map((at) => {
      const c = parseInt(hex.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b2;
  };
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

describe('speed classes', () => {
  it.each([
    [1.2, 'free'],
    [0.81, 'free'],
    [0.8, 'light'],
    [0.67, 'light'],
    [0.66, 'moderate'],
    [0.5, 'moderate'],
    [0.49, 'heavy'],
    [0.25, 'heavy'],
    [0.24, 'severe'],
    [0, 'severe'],
  ])('puts a ratio of %s in %s', (ratio, expected) => {
    expect(classOfRatio(ratio)).toBe(expected);
  });

  it('gives no class to a segment without a ratio', () => {
    expect(bucketOfByte(NO_DATA)).toBe(0);
    expect(bucketOfByte(SUPPRESSED)).toBe(1);
    expect(bucketOfByte(251)).toBe(0);
  });

  it('never turns a ratio, however large, into one of the two reasons for having none', () => {
    expect(ratioByte(99)).toBe(250);
    expect(bucketOfByte(ratioByte(99))).toBe(2);
  });
});

describe('palettes', () => {
  it.each(Object.entries(PALETTES))('%s keeps every class legible on its ground', (_, palette) => {
    expect(palette.classes).toHaveLength(SPEED_CLASSES.length);
    for (const colour of palette.classes) expect(contrast(colour, palette.ground)).toBeGreaterThan(3);
  });
});

it('draws a ramp like its road and an unknown class like a residential street', () => {
  expect(roadRank('motorway_link')).toBe(roadRank('motorway'));
  expect(roadRank('bridleway')).toBe(roadRank('residential'));
});
