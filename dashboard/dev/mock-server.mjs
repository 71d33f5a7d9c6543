// Serves dist and a mock of the server's contract, with Node alone.
//   node dev/mock-server.mjs [--port 8090] [--empty] [--silent-after SECONDS] [--large]

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCity, stateAt, worstOf } from './mock-city.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    empty: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    'silent-after': { type: 'string' },
  },
});

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self' ws: wss:";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const HANDSHAKE = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TICK_MS = 1000;

const city = makeCity(options.large ? { columns: 100, rows: 70 } : {});
const startedMs = Date.now();
const silentAfterMs = options['silent-after'] ? Number(options['silent-after']) * 1000 : Infinity;

function windowOf(url) {
  return url.searchParams.get('window') === '300' ? 300 : 60;
}

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function file(response, path) {
  const target = join(DIST, normalize(path === '/' ? '/index.html' : path));
  try {
    const body = target.startsWith(DIST) ? await readFile(target) : null;
    if (!body) throw new Error('outside dist');
    response.writeHead(200, { 'content-type': TYPES[extname(target)] ?? 'application/octet-stream', 'content-security-policy': POLICY });
    response.end(body);
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end('not found');
  }
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://mock');
  if (url.pathname === '/api/v1/network') return json(response, 200, city.network);
  if (url.pathname === '/api/v1/snapshot') {
    const { head, segments } = stateAt(city, Math.min(Date.now(), startedMs + silentAfterMs), windowOf(url), options);
    return json(response, 200, { ...head, segments });
  }
  if (url.pathname.startsWith('/api')) return json(response, 404, { error: { code: 'not_found', message: 'no such route' } });
  return file(response, url.pathname);
});

/** One unfragmented frame from server to client, which is never masked. */
function frame(opcode, payload) {
  const { length } = payload;
  const header = length < 126 ? Buffer.from([0x80 | opcode, length]) : Buffer.alloc(length < 65_536 ? 4 : 10);
  if (length >= 126) {
    header[0] = 0x80 | opcode;
    header[1] = length < 65_536 ? 126 : 127;
    if (length < 65_536) header.writeUInt16BE(length, 2);
    else header.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([header, payload]);
}

function tick(socket, windowS) {
  const now = Date.now();
  if (now - startedMs > silentAfterMs) return;
  const { head, segments, bytes } = stateAt(city, now, windowS, options);
  const binary = Buffer.alloc(20 + bytes.length);
  binary.write('ARL1', 0, 'ascii');
  binary.writeDoubleLE(head.window_end_ms, 4);
  binary.writeUInt32LE(windowS, 12);
  binary.writeUInt32LE(bytes.length, 16);
  bytes.copy(binary, 20);
  socket.write(frame(1, Buffer.from(JSON.stringify({ ...head, worst: worstOf(segments, 20) }))));
  socket.write(frame(2, binary));
}

server.on('upgrade', (request, socket) => {
  const url = new URL(request.url ?? '/', 'http://mock');
  const key = request.headers['sec-websocket-key'];
  if (url.pathname !== '/api/v1/live' || !key) return socket.destroy();
  const accept = createHash('sha1').update(key + HANDSHAKE).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  tick(socket, windowOf(url));
  const timer = setInterval(() => tick(socket, windowOf(url)), TICK_MS);
  const end = () => {
    clearInterval(timer);
    socket.destroy();
  };
  // A client only ever sends control frames: whatever it says here means that it leaves.
  socket.on('data', end);
  socket.on('error', end);
  socket.on('close', end);
});

server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(`mock city with ${city.network.segments.id.length} segments on http://127.0.0.1:${options.port}`);
});
