// The real binary under control of a test: its processes, a publisher of MQTT, and vehicles that drive as they are told.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NetworkReply } from '../src/api/contract';

export const BINARY = process.env.ARTERIAL_BIN ?? fileURLToPath(new URL('../../target/release/arterial', import.meta.url));

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Looks again until a condition holds; the deadline only ends what will never hold. */
export async function until<T>(what: string, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await look().catch(() => null);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

export class Process {
  #child: ChildProcess;
  log = '';
  readonly ended: Promise<number | null>;

  constructor(args: string[], program = BINARY) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (text: Buffer): void => void (this.log = (this.log + text.toString()).slice(-20_000));
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.once('error', (error) => (this.log += `${program}: ${error.message}`));
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.ended;
  }
}

export interface RigOptions {
  /** Both in one process with a simulated city of so many vehicles; apart and empty without. */
  vehicles?: number;
  network?: string;
  tickMs?: number;
  /** Behind a token, which may control: without one nobody may hold the reins of a replay. */
  guarded?: boolean;
}

/** Ingest and analytics on free ports, with a folder of their own. */
export class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), 'arterial-e2e-'));
  mqttPort = 0;
  httpPort = 0;
  controlPort = 0;
  ingest: Process | null = null;
  analytics: Process | null = null;
  network!: NetworkReply;
  token = '';

  constructor(readonly options: RigOptions = {}) {}

  get #tokens(): string {
    return join(this.folder, 'tokens');
  }

  /** What a browser is given after it has logged in. */
  get cookie(): { name: string; value: string; url: string } {
    return { name: 'arterial_token', value: this.token, url: this.url };
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  async start(): Promise<this> {
    [this.mqttPort, this.httpPort, this.controlPort] = [await freePort(), await freePort(), await freePort()];
    if (this.options.guarded) {
      const made = spawnSync(BINARY, ['token', 'rig', '--control', '--http-tokens', this.#tokens], { encoding: 'utf8' });
      this.token = made.stdout.trim();
    }
    if (this.options.vehicles === undefined) {
      this.startIngest();
      this.startAnalytics();
    } else {
      this.analytics = new Process(['--vehicles', String(this.options.vehicles), '--seed', '7', '--mqtt-listen', `127.0.0.1:${this.mqttPort}`, '--http-listen', `127.0.0.1:${this.httpPort}`, '--data', join(this.folder, 'data')]);
    }
    this.network = await until('the network is served', () => this.get<NetworkReply>('network'));
    // The network is served a moment before the first tick: a page that came in between would log the 503.
    await until('the first figures are served', () => this.get('snapshot?window=60'));
    await until('the MQTT endpoint listens', async () => (await dialled(this.mqttPort)).destroy());
    return this;
  }

  startIngest(): void {
    this.ingest = new Process(['ingest', '--believe-received', '--listen', `127.0.0.1:${this.mqttPort}`, '--http-listen', '127.0.0.1:0', '--data', join(this.folder, 'data')]);
  }

  startAnalytics(): void {
    this.analytics = new Process(['analytics', '--network', this.options.network ?? 'demo', '--data', join(this.folder, 'data'), '--http-listen', `127.0.0.1:${this.httpPort}`, '--replay-control', `127.0.0.1:${this.controlPort}`, '--tick-ms', String(this.options.tickMs ?? 250), ...(this.options.guarded ? ['--http-tokens', this.#tokens] : [])]);
  }

  /** A recording of positions, published by the real replay. */
  replay(rows: Fix[], ...args: string[]): Process {
    const file = join(this.folder, `recording-${rows.length}.csv`);
    writeFileSync(file, ['id,time,lon,lat,speed', ...rows.map((r) => [r.id, r.ms, r.lon.toFixed(7), r.lat.toFixed(7), r.mps].join(','))].join('\n'));
    return new Process(['replay', file, '--format', 'csv', '--columns', 'id=id,time=time:ms,lon=lon,lat=lat,speed=speed:mps', '--broker', `127.0.0.1:${this.mqttPort}`, ...args]);
  }

  async get<T>(path: string): Promise<T> {
    const headers: Record<string, string> = this.token ? { authorization: `Bearer ${this.token}` } : {};
    const reply = await fetch(`${this.url}/api/v1/${path}`, { headers });
    if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
    return reply.json() as Promise<T>;
  }

  async stop(): Promise<void> {
    await Promise.all([this.ingest?.stop(), this.analytics?.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Fix {
  id: string;
  ms: number;
  lon: number;
  lat: number;
  mps: number;
}

/** The points of a segment in degrees. */
export function points(network: NetworkReply, index: number): [number, number][] {
  const line = network.segments.line[index];
  const found: [number, number][] = [];
  let [lon, lat] = [0, 0];
  for (let i = 0; i + 1 < line.length; i += 2) {
    lon += line[i];
    lat += line[i + 1];
    found.push([lon / 1e6, lat / 1e6]);
  }
  return found;
}

/** The place at a share of a way of several segments. */
export function along(network: NetworkReply, way: number[], metres: number): [number, number] {
  let left = metres;
  for (const index of way) {
    const at = points(network, index);
    for (let i = 0; i + 1 < at.length; i++) {
      const [a, b] = [at[i], at[i + 1]];
      const east = (b[0] - a[0]) * 111_320 * Math.cos((a[1] * Math.PI) / 180);
      const length = Math.hypot(east, (b[1] - a[1]) * 111_320);
      if (left <= length) return [a[0] + ((b[0] - a[0]) * left) / length, a[1] + ((b[1] - a[1]) * left) / length];
      left -= length;
    }
  }
  const last = points(network, way[way.length - 1]);
  return last[last.length - 1];
}

/** The longest segments of a class that have a name, longest first. */
export function longest(network: NetworkReply, roadClass: string): number[] {
  const { class: classes, length_m, name } = network.segments;
  return classes.map((_, i) => i).filter((i) => classes[i] === roadClass && name[i]).sort((a, b) => length_m[b] - length_m[a]);
}

function dialled(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = dial(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** A publisher of QoS 1 that waits for every acknowledgement: what it has sent is durable. */
export class Mqtt {
  #id = 0;
  #acked = 0;
  private constructor(private readonly socket: Socket) {
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      // Every answer that we get is shorter than 128 bytes.
      while (rest.length >= 2 && rest.length >= 2 + rest[1]) {
        if (rest[0] >> 4 === 4) this.#acked++;
        rest = rest.subarray(2 + rest[1]);
      }
    });
    socket.on('error', () => {});
  }

  static async connect(port: number, name: string): Promise<Mqtt> {
    const mqtt = new Mqtt(await dialled(port));
    const id = Buffer.from(name);
    mqtt.#send(0x10, Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 60, 0, id.length]), id]));
    return mqtt;
  }

  publish(topic: string, payload: string): void {
    const name = Buffer.from(topic);
    this.#id = (this.#id % 65_535) + 1;
    this.#send(0x32, Buffer.concat([Buffer.from([name.length >> 8, name.length & 255]), name, Buffer.from([this.#id >> 8, this.#id & 255]), Buffer.from(payload)]));
    this.#sent++;
  }
  #sent = 0;

  position(fix: Fix): void {
    this.publish(`arterial/v1/demo/position/${fix.id}`, JSON.stringify({ source: fix.id, seq: this.#id, ts_ms: fix.ms, lon_deg: fix.lon, lat_deg: fix.lat, speed_mps: fix.mps }));
  }

  acknowledged(): Promise<boolean> {
    return until('all is acknowledged', async () => this.#acked >= this.#sent);
  }

  close(): void {
    this.socket.destroy();
  }

  #send(head: number, body: Buffer): void {
    const length: number[] = [];
    let left = body.length;
    do {
      length.push((left % 128) | (left >= 128 ? 128 : 0));
      left = Math.floor(left / 128);
    } while (left > 0);
    this.socket.write(Buffer.concat([Buffer.from([head, ...length]), body]));
  }
}
