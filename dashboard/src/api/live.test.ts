import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { SnapshotReply } from './contract';
import { type Link, LiveClient, type LiveFrame } from './live';

class FakeSocket {
  static all: FakeSocket[] = [];
  binaryType = '';
  closed = false;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  close(): void {
    this.closed = true;
    this.onclose?.();
  }
  static get newest(): FakeSocket {
    return FakeSocket.all[FakeSocket.all.length - 1];
  }
}

const page = { hidden: false, listener: () => {}, addEventListener: (_: string, f: () => void) => (page.listener = f), removeEventListener() {} };
const columns = { index: [], speed_mps: [], speed_ratio: [], vehicles: [], delay_veh_h_per_h: [], density_veh_per_km: [], flow_veh_per_h: [], level: [] };
const snapshot = { window_s: 60, segments: columns };
const answer = vi.fn(async () => new Response(JSON.stringify(snapshot)));

let links: Link[] = [];
let frames: LiveFrame[] = [];
let snapshots: SnapshotReply[] = [];
let unreachable = 0;
let client: LiveClient;

function tick(socket: FakeSocket, ratios: number[]): void {
  const binary = new Uint8Array(20 + ratios.length);
  binary.set([0x41, 0x52, 0x4c, 0x31]);
  new DataView(binary.buffer).setUint32(16, ratios.length, true);
  binary.set(ratios, 20);
  socket.onmessage?.({ data: JSON.stringify({ window_s: 60, worst: columns }) });
  socket.onmessage?.({ data: binary.buffer });
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('document', page);
  vi.stubGlobal('location', { protocol: 'http:', host: 'city.test' });
  vi.stubGlobal('fetch', answer);
  answer.mockClear();
  [FakeSocket.all, links, frames, snapshots, unreachable, page.hidden] = [[], [], [], [], 0, false];
  client = new LiveClient(60, {
    link: (link) => links.push(link),
    frame: (frame) => frames.push(frame),
    snapshot: (reply) => snapshots.push(reply),
    unreachable: () => unreachable++,
  });
  client.open();
});

afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('pairs the two halves of a frame', () => {
  expect(FakeSocket.newest.url).toBe('ws://city.test/api/v1/live?window=60');
  tick(FakeSocket.newest, [80, 255]);
  expect(links).toEqual(['connecting', 'live']);
  expect([...frames[0].ratios]).toEqual([80, 255]);
});

it('asks for snapshots while it reconnects, and stops once it is back', async () => {
  FakeSocket.newest.close();
  expect(links.at(-1)).toBe('disconnected');
  await vi.advanceTimersByTimeAsync(600);
  expect(FakeSocket.all).toHaveLength(2);
  expect(snapshots).toHaveLength(1);
  tick(FakeSocket.newest, [10]);
  expect(links.at(-1)).toBe('live');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(snapshots).toHaveLength(1);
});

it('says when not even a snapshot can be had', async () => {
  answer.mockRejectedValueOnce(new Error('refused'));
  FakeSocket.newest.close();
  await vi.advanceTimersByTimeAsync(1);
  expect(unreachable).toBe(1);
});

it('takes a silent connection for dead', async () => {
  await vi.advanceTimersByTimeAsync(20_001);
  expect(FakeSocket.all[0].closed).toBe(true);
  expect(links.at(-1)).toBe('disconnected');
});

it('starts again after a frame it cannot read', () => {
  FakeSocket.newest.onmessage?.({ data: '{"worst":' });
  expect(FakeSocket.newest.closed).toBe(true);
});

it('gives the connection back when hidden, though not at every glance away, and reopens at once', async () => {
  tick(FakeSocket.newest, [1]);
  page.hidden = true;
  page.listener();
  await vi.advanceTimersByTimeAsync(1500);
  tick(FakeSocket.newest, [1]);
  expect(FakeSocket.all[0].closed).toBe(false);
  await vi.advanceTimersByTimeAsync(1001);
  expect(FakeSocket.all[0].closed).toBe(true);
  page.hidden = false;
  page.listener();
  expect(FakeSocket.all).toHaveLength(2);
});

it('pauses and resumes', async () => {
  client.setPaused(true);
  await vi.advanceTimersByTimeAsync(120_000);
  expect([FakeSocket.all.length, links.at(-1)]).toEqual([1, 'paused']);
  client.setPaused(false);
  expect(FakeSocket.all).toHaveLength(2);
});

it('opens another window at once and without counting a failure', () => {
  client.setWindow(300);
  expect(FakeSocket.newest.url).toContain('window=300');
  expect(links).toEqual(['connecting', 'connecting']);
});
