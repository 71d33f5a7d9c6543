// What the methods explain, in their order. Each has its words under `methods.NAME` and its formula under `formula.NAME`.

export const TOPICS = [
  'speed',
  'ratio',
  'tti',
  'delay',
  'vehicles',
  'observed',
  'privacy',
  'messages',
  'travelTime',
  'reliability',
  'bottleneck',
  'queue',
  'change',
  'coverage',
  'freeFlow',
  'late',
  'detector',
  'arrivals',
  'split',
  'replay',
] as const;

export type Topic = (typeof TOPICS)[number];
