// The live connection: pairs each text frame with the binary frame that follows it, reconnects
// after a failure, and meanwhile asks for snapshots, so that the page never depends on one path.

import { backoffMs } from './backoff';
import { type Head, type LiveHead, type SegmentRow, slowest, type SnapshotReply, type WindowS } from './contract';
import { decodeFrame } from './frame';
import { getSnapshot } from './http';

export const WORST_ROWS = 20;
const POLL_MS = 2_500;
/** An open connection that stays silent this long is taken for dead. */
const SILENCE_MS = 20_000;
/** A page in the background gives its connection back after this long. */
const HIDDEN_MS = 2_000;

export type Link = 'connecting' | 'live' | 'disconnected' | 'paused';

export interface LiveFrame {
  head: Head;
  worst: SegmentRow[];
  ratios: Uint8Array<ArrayBuffer>;
}

export interface Listener {
  link(state: Link): void;
  frame(frame: LiveFrame): void;
  snapshot(reply: SnapshotReply): void;
  /** Not even a snapshot could be had. */
  unreachable(): void;
}

type Timer = ReturnType<typeof setTimeout> | undefined;

export class LiveClient {
  #socket: WebSocket | null = null;
  #head: LiveHead | null = null;
  #attempt = 0;
  #paused = false;
  #retry: Timer;
  #poll: Timer;
  #silence: Timer;
  #hidden: Timer;

  /** For good: an answer that comes after that wakes nobody. */
  #closed = false;

  constructor(
    private window: WindowS,
    private readonly listener: Listener,
  ) {
    document.addEventListener('visibilitychange', this.#visibility);
  }

  open(): void {
    if (this.#paused) return;
    this.#drop();
    this.listener.link(this.#attempt === 0 ? 'connecting' : 'disconnected');
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/live?window=${this.window}`);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#lost();
    this.#socket = socket;
    this.#watchSilence();
  }

  setWindow(window: WindowS): void {
    if (window === this.window) return;
    this.window = window;
    this.#attempt = 0;
    this.open();
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) {
      this.#drop();
      this.listener.link('paused');
    } else {
      this.#attempt = 0;
      this.open();
    }
  }

  close(): void {
    this.#closed = true;
    document.removeEventListener('visibilitychange', this.#visibility);
    clearTimeout(this.#hidden);
    this.#drop();
  }

  #receive(data: string | ArrayBuffer): void {
    this.#watchSilence();
    try {
      if (typeof data === 'string') {
        this.#head = JSON.parse(data) as LiveHead;
        return;
      }
      const head = this.#head;
      this.#head = null;
      if (!head) return;
      const { ratios } = decodeFrame(data);
      this.#attempt = 0;
      clearTimeout(this.#poll);
      this.listener.link('live');
      this.listener.frame({ head, worst: slowest(head.worst, WORST_ROWS), ratios });
    } catch {
      // A frame we cannot read is a fault of the connection: start it again.
      this.#socket?.close();
    }
  }

  #lost(): void {
    this.#drop();
    this.listener.link('disconnected');
    this.#retry = setTimeout(() => this.open(), backoffMs(this.#attempt, Math.random()));
    this.#attempt++;
    this.#pollOnce();
  }

  #pollOnce = async (): Promise<void> => {
    clearTimeout(this.#poll);
    const window = this.window;
    try {
      const reply = await getSnapshot(window);
      if (this.#attempt > 0 && window === this.window && !this.#paused) this.listener.snapshot(reply);
    } catch {
      this.listener.unreachable();
    }
    if (!this.#closed && this.#attempt > 0 && !this.#paused && !document.hidden) this.#poll = setTimeout(this.#pollOnce, POLL_MS);
  };

  #watchSilence(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #visibility = (): void => {
    clearTimeout(this.#hidden);
    if (document.hidden) {
      this.#hidden = setTimeout(() => this.#drop(), HIDDEN_MS);
    } else if (!this.#socket && !this.#paused) {
      this.open();
    }
  };

  /** Ends connection and timers without reporting it: the caller knows why. */
  #drop(): void {
    for (const timer of [this.#retry, this.#poll, this.#silence]) clearTimeout(timer);
    this.#head = null;
    if (!this.#socket) return;
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
    this.#socket.close();
    this.#socket = null;
  }
}
