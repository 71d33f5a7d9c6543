// Requests for JSON, with the server's own words when it refuses.

import type { NetworkReply, SnapshotReply, WindowS } from './contract';

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

async function getJson<T>(path: string): Promise<T> {
  const reply = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: 'application/json' } });
  if (reply.ok) return (await reply.json()) as T;
  const body = await reply.json().catch(() => null);
  throw new ApiError(reply.status, body?.error?.code ?? `http_${reply.status}`, body?.error?.message ?? reply.statusText);
}

export function getNetwork(): Promise<NetworkReply> {
  return getJson('/api/v1/network');
}

export function getSnapshot(window: WindowS): Promise<SnapshotReply> {
  return getJson(`/api/v1/snapshot?window=${window}`);
}
