// Every figure of the page's budget, from the real binary: node bench/bench.mjs [--binary FILE] [--soak-minutes 10] [--json FILE] [--only paints,idle,pixel,pan,soak]
//
// Absolute times are of the machine on which it runs and of what else runs there: the load is printed beside them.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { chromium } from '@playwright/test';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    binary: { type: 'string', default: here('../../target/release/arterial') },
    'soak-minutes': { type: 'string', default: '10' },
    json: { type: 'string' },
    only: { type: 'string' },
  },
});
const SOAK_MS = Number(options['soak-minutes']) * 60_000;
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--js-flags=--expose-gc'];
const folder = mkdtempSync(join(tmpdir(), 'arterial-bench-'));
const running = [];
const results = [];

function tell(name, value, unit, budget, within) {
  results.push({ name, value, unit, budget, within });
  console.log(`${within ? 'ok  ' : 'OVER'}  ${name.padEnd(44)} ${String(value).padStart(9)} ${unit.padEnd(8)} budget ${budget}`);
}
const percentile = (values, p) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

async function until(what, look, limitMs = 90_000) {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await look().catch(() => null);
    if (found) return found;
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}

function start(args) {
  const child = spawn(options.binary, args, { stdio: 'ignore' });
  running.push(child);
  return child;
}

async function server({ vehicles, network, tickMs = 1000 }) {
  const [mqtt, http] = [await freePort(), await freePort()];
  const data = mkdtempSync(join(folder, 'data-'));
  if (vehicles) start(['--vehicles', String(vehicles), '--seed', '7', '--mqtt-listen', `127.0.0.1:${mqtt}`, '--http-listen', `127.0.0.1:${http}`, '--data', data, '--tick-ms', String(tickMs)]);
  else {
    start(['ingest', '--listen', `127.0.0.1:${mqtt}`, '--http-listen', '127.0.0.1:0', '--data', data]);
    start(['analytics', '--network', network, '--data', data, '--http-listen', `127.0.0.1:${http}`, '--tick-ms', String(tickMs)]);
  }
  const url = `http://127.0.0.1:${http}`;
  await until('the network is served', async () => (await fetch(`${url}/api/v1/network`)).ok);
  return { url, mqtt };
}

/** CPU seconds of the processes of the browser. */
async function cpuSeconds(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.reduce((sum, info) => sum + info.cpuTime, 0);
}

function javascript() {
  const dist = here('../dist/assets/');
  const files = readdirSync(dist).filter((name) => name.endsWith('.js'));
  const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(dist + name), { level: 9 }).length, 0);
  tell('own JavaScript, gzipped', (bytes / 1000).toFixed(1), 'kB', '90', bytes <= 90_000);
}

async function paints(browser, { url }) {
  await until('the city has colour', async () => (await (await fetch(`${url}/api/v1/snapshot`)).json()).segments.index.length > 100);
  const [first, coloured] = [[], []];
  for (let i = 0; i < 7; i++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction(() => window.__arterial?.coloured > 0, null, { timeout: 60_000 });
    const [paint, map] = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0, window.__arterial.colouredAtMs]);
    first.push(paint);
    coloured.push(map);
    await context.close();
  }
  tell('first paint, median of 7', percentile(first, 0.5).toFixed(0), 'ms', '400', percentile(first, 0.5) <= 400);
  tell('first coloured map, median of 7', percentile(coloured, 0.5).toFixed(0), 'ms', '1000', percentile(coloured, 0.5) <= 1000);
}

/** From an MQTT publish that changes one segment's class to the frame that draws it. */
async function publishToPixel(browser) {
  const { url, mqtt } = await server({ network: 'demo', tickMs: 250 });
  const network = await (await fetch(`${url}/api/v1/network`)).json();
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(url);
  await page.waitForFunction(() => window.__arterial?.frames > 2, null, { timeout: 60_000 });
  const socket = connect(mqtt, '127.0.0.1');
  const send = (head, body) => {
    const length = [];
    let left = body.length;
    do length.push((left % 128) | (left >= 128 ? 128 : 0)); while ((left = Math.floor(left / 128)) > 0);
    socket.write(Buffer.concat([Buffer.from([head, ...length]), body]));
  };
  const text = (value) => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
  send(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 60]), text('bench')]));
  let seq = 0;
  const position = (source, ms, lon, lat) => {
    seq = (seq % 60_000) + 1;
    const payload = JSON.stringify({ source, seq, ts_ms: ms, lon_deg: lon, lat_deg: lat, speed_mps: 8 });
    send(0x32, Buffer.concat([text(`arterial/v1/demo/position/${source}`), Buffer.from([seq >> 8, seq & 255]), Buffer.from(payload)]));
  };
  socket.resume();
  // Each round three vehicles cross a segment of their own: it changes from no data to a class.
  const { length_m, class: classes, line } = network.segments;
  const segments = classes.map((_, i) => i).filter((i) => length_m[i] > 90 && line[i].length === 4).slice(0, 45);
  const delays = [];
  for (const [round, index] of segments.entries()) {
    const [lon, lat, dLon, dLat] = line[index];
    const place = (share) => [(lon + dLon * share) / 1e6, (lat + dLat * share) / 1e6];
    const before = await page.evaluate(() => window.__arterial.digest);
    const now = Date.now();
    for (let step = 0; step < 6; step++) for (let v = 0; v < 3; v++) position(`b${round}x${v}`, now - (5 - step) * 1500 - 20, ...place(0.15 + step * 0.12));
    const sent = performance.now();
    const seen = await page.waitForFunction((digest) => window.__arterial.digest !== digest, before, { polling: 'raf', timeout: 10_000 }).then(() => performance.now(), () => null);
    if (seen !== null) delays.push(seen - sent);
    // The next round must not meet the tick of this one.
    await sleep(260 + (round % 7) * 37);
  }
  socket.destroy();
  await page.close();
  tell(`publish to pixel, p50 of ${delays.length}`, percentile(delays, 0.5).toFixed(0), 'ms', '–', true);
  tell(`publish to pixel, p95 of ${delays.length}`, percentile(delays, 0.95).toFixed(0), 'ms', '500', percentile(delays, 0.95) <= 500 && delays.length > 30);
}

/** Frames once a second in which every segment has a speed, as in a city full of vehicles; only the network is real. */
async function everySegmentColoured(page, url) {
  const snapshot = await until('there is a snapshot', async () => {
    const reply = await fetch(`${url}/api/v1/snapshot`);
    return reply.ok && reply.json();
  });
  const count = (await (await fetch(`${url}/api/v1/network`)).json()).segments.id.length;
  const { segments, ...head } = snapshot;
  await page.routeWebSocket(/\/api\/v1\/live/, (socket) => {
    const tick = () => {
      const now = Date.now();
      const city = { ...head.city, vehicles: count, events: count, newest_observation_ms: now, segments_published: count };
      const codes = Buffer.alloc(20 + count);
      codes.write('ARL1', 0, 'ascii');
      codes.writeDoubleLE(now, 4);
      codes.writeUInt32LE(60, 12);
      codes.writeUInt32LE(count, 16);
      for (let i = 0; i < count; i++) codes[20 + i] = (i * 37 + Math.floor(now / 1000) * 11) % 120;
      socket.send(JSON.stringify({ ...head, window_end_ms: now, published_ms: now, city, worst: segments }));
      socket.send(codes);
    };
    tick();
    const timer = setInterval(tick, 1000);
    // A page that is closed does not always say so, and then the benchmark would never end.
    timer.unref();
    socket.onClose(() => clearInterval(timer));
  });
  return count;
}

async function panning(browser, segments, budget) {
  const network = join(folder, `${segments}.roads`);
  const made = spawnSync(options.binary, ['network', 'generate', '--segments', String(segments), '--out', network]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  const { url } = await server({ network });
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const count = await everySegmentColoured(page, url);
  await page.goto(url);
  await page.waitForFunction((n) => window.__arterial?.coloured === n, count, { timeout: 60_000 });
  const map = await page.getByRole('application').first().boundingBox();
  // Everything is in view; the pointer goes to and fro without a pause.
  const [x, y] = [map.x + map.width * 0.7, map.y + map.height * 0.4];
  await page.mouse.move(x, y);
  await page.mouse.down();
  const began = performance.now();
  const before = await page.evaluate(() => window.__arterial.draws);
  for (let i = 0; performance.now() - began < 6_000; i++) await page.mouse.move(x + 60 * Math.sin(i / 5), y + 40 * Math.cos(i / 7));
  const draws = (await page.evaluate(() => window.__arterial.draws)) - before;
  const rate = draws / ((performance.now() - began) / 1000);
  await page.mouse.up();
  await page.close();
  tell(`pan draws at ${segments} segments`, rate.toFixed(1), '1/s', budget ?? '–', budget === null || rate >= budget);
}

async function idle(browser, { url }) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(url);
  await page.waitForFunction(() => window.__arterial?.frames > 3, null, { timeout: 60_000 });
  const over = async (ms) => {
    const [at, cpu] = [performance.now(), await cpuSeconds(browser)];
    await sleep(ms);
    return ((await cpuSeconds(browser)) - cpu) / ((performance.now() - at) / 1000);
  };
  const live = await over(20_000);
  tell('CPU at one frame a second', live.toFixed(3), 'cores', '0.1', live <= 0.1);
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await sleep(4_000);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  const frames = await page.evaluate(() => window.__arterial.frames);
  const hidden = await over(15_000);
  const drawn = (await page.evaluate(() => window.__arterial.frames)) - frames;
  tell('hidden: requests and frames in 15 s', asked.length + drawn, '', '0', asked.length + drawn === 0);
  await page.close();
  // The browser itself is not free of work: what is ours is what an empty page does not take.
  const blank = await browser.newPage();
  await sleep(4_000);
  const empty = await over(15_000);
  await blank.close();
  tell(`hidden: CPU beyond an empty page's ${empty.toFixed(3)}`, (hidden - empty).toFixed(3), 'cores', '0.01', hidden - empty <= 0.01);
}

async function soak(browser, { url }) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(url);
  await page.waitForFunction(() => window.__arterial?.frames > 5, null, { timeout: 60_000 });
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  await sleep(Math.min(30_000, SOAK_MS / 4));
  const before = await heap();
  await sleep(SOAK_MS);
  const growth = (await heap()) - before;
  await page.close();
  tell(`heap growth in ${options['soak-minutes']} min, from ${before.toFixed(1)} MB`, growth.toFixed(2), 'MB', '5', growth <= 5);
}

const only = (name) => !options.only || options.only.split(',').includes(name);
console.log(`load ${loadavg().map((l) => l.toFixed(1)).join(' ')} at the start`);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
try {
  javascript();
  if (only('pixel')) await publishToPixel(browser);
  if (only('pan')) {
    await panning(browser, 20_000, 25);
    await panning(browser, 100_000, null);
  }
  const city = await server({ vehicles: 1000 });
  if (only('paints')) await paints(browser, city);
  if (only('idle')) await idle(browser, city);
  if (only('soak')) await soak(browser, city);
} finally {
  await browser.close();
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
console.log(`load ${loadavg().map((l) => l.toFixed(1)).join(' ')} at the end`);
if (options.json) writeFileSync(options.json, `${JSON.stringify({ load: loadavg(), results }, null, 1)}\n`);
process.exitCode = results.every((r) => r.within) ? 0 : 1;
