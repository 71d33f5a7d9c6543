// Three weeks of mornings in the archive of the real binary: node dev/weeks.mjs DATA [--last 2025-09-19] [--hours 7-8] …
//
// The simulated city is published at full speed into ingest, day by day, as devices would; analytics counts and archives it.
// A weekday has the same seed in all weeks, and so the same trips. The second week is the first again. In the third one
// street is a slow zone and nothing else is changed: whatever else a comparison finds, the slow street has brought about.
// Upstream: `arterial sim --start`. Downstream: e2e/history.spec.ts, and whoever wants to see Compare with its answers.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WAIT_MS = 120_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    binary: { type: 'string', default: process.env.ARTERIAL_BIN ?? fileURLToPath(new URL('../../target/release/arterial', import.meta.url)) },
    /** The Friday of the third week. */
    last: { type: 'string', default: '2025-09-19' },
    hours: { type: 'string', default: '7-8' },
    street: { type: 'string', default: 'Glenwick Avenue' },
    kmh: { type: 'string', default: '20' },
    'trips-per-day': { type: 'string', default: '20000' },
  },
});
const [data] = positionals;
if (!data) throw new Error('usage: node dev/weeks.mjs DATA');
const [from, to] = options.hours.split('-').map(Number);
const minutes = (to - from) * 60;

function scenario(slow) {
  const text = `description = "a morning"\nnetwork = "demo"\nclock = "${String(from).padStart(2, '0')}:00"\nduration_min = ${minutes}\n[demand]\ntrips_per_day = ${options['trips-per-day']}\n`;
  const zone = `[[incidents]]\nid = "slow"\nkind = "slow-zone"\nstreets = ["${options.street}"]\nspeed_kmh = ${options.kmh}\nbegin_min = 0\nend_min = ${minutes}\n`;
  const file = join(data, slow ? 'slow.toml' : 'usual.toml');
  writeFileSync(file, slow ? text + zone : text);
  return file;
}

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

const running = new Set();
function start(...args) {
  const child = spawn(options.binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  let log = '';
  child.stderr.on('data', (text) => (log = (log + text).slice(-20_000)));
  const ended = new Promise((done, fail) =>
    child.once('exit', (code) => {
      running.delete(child);
      if (code === 0) done();
      else fail(new Error(`arterial ${args[0]} ended with ${code}:\n${log}`));
    }),
  );
  // Whoever waits for the end hears of it; a service that ends early is found by the page that no longer answers.
  ended.catch(() => {});
  return { child, ended };
}

/** Sum of a metric's series whose labels hold a text. */
async function metric(port, name, label = '') {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && /[{ ]/.test(line[name.length]) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

async function until(what, look) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    if (await look().catch(() => false)) return;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((again) => setTimeout(again, 100));
  }
}

const [mqtt, ingestHttp, http] = [await freePort(), await freePort(), await freePort()];
const at = (port) => `127.0.0.1:${port}`;

/** One morning, at full speed; positions alone, each vehicle every five seconds. */
async function simulate(file, startMs, seed, ...more) {
  const begin = new Date(startMs).toISOString();
  await start('sim', '--scenario', file, '--start', begin, '--seed', String(seed), '--speed', 'max', '--sensors', 'exact', '--interval-s', '5', '--broker', at(mqtt), ...more).ended;
}

try {
  mkdirSync(data, { recursive: true });
  const [usual, slow] = [scenario(false), scenario(true)];
  const ingest = start('ingest', '--believe-received', '--listen', at(mqtt), '--http-listen', at(ingestHttp), '--data', data);
  const analytics = start('analytics', '--network', 'demo', '--http-listen', at(http), '--data', data);
  for (const port of [ingestHttp, http]) await until('the services are ready', async () => (await fetch(`http://${at(port)}/ready`)).ok);
  const friday = Date.parse(`${options.last}T00:00:00Z`);
  for (const [week, file] of [usual, usual, slow].entries()) {
    for (let weekday = 0; weekday < 5; weekday++) {
      await simulate(file, friday - (4 - weekday) * DAY_MS - (2 - week) * 7 * DAY_MS + from * HOUR_MS, weekday + 1);
    }
  }
  // Only a day that is over is in the tables that rankings are made of: a minute of the next day says so, once a later one
  // has closed it.
  for (const hour of [1, 2]) await simulate(usual, friday + DAY_MS + hour * HOUR_MS, 6, '--duration-s', '60');
  const stored = await metric(ingestHttp, 'arterial_ingest_events_total', 'accepted');
  if (!(stored > 0)) throw new Error('nothing was stored');
  await until('all is counted', async () => (await metric(http, 'arterial_analytics_next_block')) >= (await metric(ingestHttp, 'arterial_ingest_spool_next_block')));
  for (const { child, ended } of [ingest, analytics]) {
    child.kill('SIGTERM');
    await ended;
  }
} finally {
  for (const child of running) child.kill('SIGKILL');
}
