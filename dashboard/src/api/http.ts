// Requests, with the server's own words when it refuses.

import type { LiveHead, NetworkReply, Replay, SnapshotReply, WindowS } from './contract';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 15_000;

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const reply = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: 'application/json' }, ...init });
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => null);
  throw new ApiError(reply.status, body?.error?.code ?? `http_${reply.status}`, body?.error?.message ?? reply.statusText);
}

type Parameters = Record<string, string | number | null | undefined>;

/** A path under /api/v1 with its parameters; those without a value are left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return `/api/v1/${path}${text && '?'}${text}`;
}

export async function get<T>(path: string, parameters: Parameters = {}): Promise<T> {
  return (await (await request(address(path, parameters))).json()) as T;
}

export function getNetwork(): Promise<NetworkReply> {
  return get('network');
}

export function getSnapshot(window: WindowS): Promise<SnapshotReply> {
  return get('snapshot', { window });
}

/** One frame of the last two hours: its text half and its binary half. */
export async function getRecorded(end: number): Promise<[LiveHead, ArrayBuffer]> {
  const codes = request(address('recent/codes', { end })).then((reply) => reply.arrayBuffer());
  return Promise.all([get<LiveHead>('recent/frame', { end }), codes]);
}

/** A wish to the attached replay; gives where it stands then. */
export async function wishReplay(wish: string, parameters: Parameters = {}): Promise<Replay> {
  const init = { method: 'POST', headers: { accept: 'application/json', 'x-arterial': '1' } };
  return (await (await request(address(`replay/${wish}`, parameters), init)).json()) as Replay;
}
