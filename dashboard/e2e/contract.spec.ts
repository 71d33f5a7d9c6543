// Every answer of the real binary is what the OpenAPI document says, to the last field.

import { expect, test } from './page';

interface Shape {
  $ref?: string;
  type?: string | string[];
  oneOf?: Shape[];
  anyOf?: Shape[];
  allOf?: Shape[];
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape | boolean;
  prefixItems?: Shape[];
  additionalProperties?: Shape | boolean;
}
interface Document {
  components: { schemas: Record<string, Shape> };
  paths: Record<string, { get?: { parameters?: { name: string; required?: boolean }[]; responses: Record<string, { content?: Record<string, { schema?: Shape }> }> } }>;
}

function faults(shape: Shape, value: unknown, at: string, document: Document): string[] {
  if (shape.$ref) return faults(document.components.schemas[shape.$ref.split('/').pop() ?? ''], value, at, document);
  const options = shape.oneOf ?? shape.anyOf;
  if (options) {
    const each = options.map((option) => faults(option, value, at, document));
    return each.some((found) => found.length === 0) ? [] : each[each.length - 1];
  }
  if (shape.type === undefined) return [];
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const wanted = [shape.type].flat();
  const fits = wanted.includes(kind) || (kind === 'number' && wanted.includes('integer') && Number.isInteger(value));
  if (!fits) return [`${at} is ${kind}, not ${wanted.join(' or ')}`];
  if (kind === 'array') {
    const items = value as unknown[];
    const of = (i: number): Shape => shape.prefixItems?.[i] ?? (typeof shape.items === 'object' ? shape.items : {});
    return items.slice(0, 50).flatMap((item, i) => faults(of(i), item, `${at}[${i}]`, document));
  }
  if (kind !== 'object') return [];
  const entries = Object.entries(value as Record<string, unknown>);
  const missing = (shape.required ?? []).filter((name) => !(name in (value as object))).map((name) => `${at} lacks ${name}`);
  const inside = entries.flatMap(([name, inner]) => {
    const known = shape.properties?.[name];
    if (known) return faults(known, inner, `${at}.${name}`, document);
    if (typeof shape.additionalProperties === 'object') return faults(shape.additionalProperties, inner, `${at}.${name}`, document);
    return shape.properties ? [`${at}.${name} is not in the document`] : [];
  });
  return [...missing, ...inside];
}

test('the validator finds what is wrong', () => {
  const document: Document = { components: { schemas: {} }, paths: {} };
  const shape: Shape = { type: 'object', required: ['a'], properties: { a: { type: 'integer' }, b: { type: ['string', 'null'] } } };
  expect(faults(shape, { a: 1, b: null }, '$', document)).toEqual([]);
  expect(faults(shape, { a: 1.5, c: 1 }, '$', document)).toEqual(['$.a is number, not integer', '$.c is not in the document']);
  expect(faults(shape, { b: 2 }, '$', document)).toEqual(['$ lacks a', '$.b is number, not string or null']);
});

test('every answer keeps the contract', async ({ request }) => {
  const document = (await (await request.get('/api/v1/openapi.json')).json()) as Document;
  const { areas } = await (await request.get('/api/v1/corridors')).json();
  await expect.poll(async () => (await (await request.get('/api/v1/recent')).json()).end_ms.length, { timeout: 60_000 }).toBeGreaterThan(0);
  await expect.poll(async () => (await (await request.get('/api/v1/snapshot')).json()).segments.index.length, { timeout: 60_000 }).toBeGreaterThan(0);
  const recent = await (await request.get('/api/v1/recent')).json();
  const snapshot = await (await request.get('/api/v1/snapshot')).json();
  const signals = await (await request.get('/api/v1/signals')).json();
  const given: Record<string, string> = {
    end: String(recent.end_ms.at(-1)), corridor: areas[0].name, metric: 'speed', segment: String(snapshot.segments.index.at(-1)), kind: 'city', signal: signals.phases[0]?.signal ?? '',
  };
  const checked: string[] = [];
  for (const [path, { get }] of Object.entries(document.paths)) {
    const shape = get?.responses['200']?.content?.['application/json']?.schema;
    if (!get || !shape || path.endsWith('/live')) continue;
    const query = new URLSearchParams();
    for (const { name, required } of get.parameters ?? []) if ((required || name === 'signal') && given[name]) query.set(name, given[name]);
    const reply = await request.get(`${path}?${query}`);
    const body = await reply.json();
    // What concerns too few vehicles, or history where there is none, is refused in the shape of a refusal.
    const expected = reply.ok() ? shape : { $ref: '#/components/schemas/Fault' };
    expect(faults(expected, body, path, document)).toEqual([]);
    if (reply.ok()) checked.push(path);
  }
  expect(checked.length, checked.join(' ')).toBeGreaterThan(15);
});
