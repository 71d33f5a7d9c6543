// The state of the city as the page knows it: network, newest figures, how they arrived and when.

import { type Head, type NetworkReply, rowAt, type SegmentRow, slowest, type SnapshotReply, type WindowS } from '../api/contract';
import { decodeFrame, ratiosOfSnapshot } from '../api/frame';
import { getNetwork, getRecorded, getSnapshot } from '../api/http';
import { type Link, LiveClient, type LiveFrame, WORST_ROWS } from '../api/live';
import { buildGeometry, type Geometry, type Projection, projectionAt } from '../map/geometry';
import { freshness } from './freshness';

/** Live frames carry no vehicle counts a segment; a snapshot this old is fetched again when needed. */
const DETAILS_MS = 5_000;

export interface Roads {
  network: NetworkReply;
  projection: Projection;
  geometry: Geometry;
  indexOf: Map<string, number>;
}

export interface Picture {
  head: Head;
  worst: SegmentRow[];
  ratios: Uint8Array<ArrayBuffer>;
  /** From the live connection, not from a snapshot. */
  live: boolean;
}

interface Details {
  head: Head;
  rows: Map<number, SegmentRow>;
  arrivedMs: number;
}

class City {
  roads: Roads | null = $state.raw(null);
  error: string | null = $state(null);
  link: Link = $state('connecting');
  /** Whether the server answered when it was last asked. */
  reachable = $state(true);
  picture: Picture | null = $state.raw(null);
  details: Details | null = $state.raw(null);
  /** When the picture arrived, and when something new was last observed, both by this page's clock. */
  arrivedMs = $state(performance.now());
  movedMs = $state(performance.now());
  nowMs = $state(performance.now());
  /** End of the recorded frame that is shown instead of the newest one. */
  recordedMs: number | null = $state(null);

  readonly ageMs = $derived(Math.max(0, this.nowMs - this.movedMs));
  readonly freshness = $derived(freshness(this.ageMs));
  readonly empty = $derived(this.picture !== null && this.picture.head.city.events === 0 && this.picture.head.city.vehicles === 0);

  #client: LiveClient | null = null;
  #window: WindowS = 60;
  #fetching = false;
  #wasLost = false;

  async start(window: WindowS): Promise<void> {
    this.#window = window;
    const tick = (): void => void (this.nowMs = performance.now());
    let clock: ReturnType<typeof setInterval> | undefined;
    // A hidden page does nothing at all.
    const wake = (): void => {
      clearInterval(clock);
      clock = document.hidden ? undefined : setInterval(tick, 500);
    };
    document.addEventListener('visibilitychange', wake);
    wake();
    await this.load();
  }

  /** Loads the network, then opens the live connection. Also what "try again" does. */
  load = async (): Promise<void> => {
    this.error = null;
    try {
      this.#setNetwork(await getNetwork());
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
      return;
    }
    void this.refreshDetails();
    this.#client ??= new LiveClient(this.#window, {
      link: (link) => this.#linked(link),
      frame: (frame) => this.#live(frame),
      snapshot: (reply) => this.#polled(reply),
      unreachable: () => (this.reachable = false),
    });
    this.#client.open();
  };

  setWindow(window: WindowS): void {
    if (window === this.#window) return;
    this.#window = window;
    this.details = null;
    this.#client?.setWindow(window);
    void this.refreshDetails();
  }

  setPaused(paused: boolean): void {
    this.#client?.setPaused(paused);
  }

  /** Shows a frame of the last two hours; live frames wait until {@link leaveRecorded}. */
  async showRecorded(endMs: number): Promise<void> {
    this.recordedMs = endMs;
    this.setPaused(true);
    const [head, codes] = await getRecorded(endMs);
    if (this.recordedMs !== endMs) return;
    const { ratios } = decodeFrame(codes);
    if (ratios.length !== this.roads?.geometry.count) return;
    this.details = null;
    this.#show({ head, worst: slowest(head.worst, WORST_ROWS), ratios, live: false });
  }

  leaveRecorded(): void {
    if (this.recordedMs === null) return;
    this.recordedMs = null;
    this.details = null;
    this.setPaused(false);
  }

  /** All published segments of the moment that the page shows from then on, so that a file and the page agree. */
  async capture(): Promise<SnapshotReply> {
    const reply = await getSnapshot(this.#window);
    this.#polled(reply);
    return reply;
  }

  /** Server time minus event time at publication, plus the time since: no clock of ours against theirs. */
  sinceEventMs(eventMs: number | null): number | null {
    const head = this.picture?.head;
    if (!head || eventMs === null) return null;
    return Math.max(0, head.published_ms - eventMs) + Math.max(0, this.nowMs - this.arrivedMs);
  }

  refreshDetails = async (): Promise<void> => {
    const recent = this.details && performance.now() - this.details.arrivedMs < DETAILS_MS;
    if (recent || this.#fetching || this.recordedMs !== null || (this.link === 'paused' && this.picture)) return;
    this.#fetching = true;
    try {
      const reply = await getSnapshot(this.#window);
      this.#keepDetails(reply);
      if (this.picture === null || this.picture.head.window_s !== this.#window) this.#show(this.#pictureOf(reply));
    } catch {
      // The live frames go on without it; the segment card then shows what they hold.
    } finally {
      this.#fetching = false;
    }
  };

  #linked(link: Link): void {
    this.link = link;
    if (link === 'disconnected') this.#wasLost = true;
    if (link === 'live' && this.#wasLost) {
      this.#wasLost = false;
      void this.#reloadIfOtherNetwork();
    }
  }

  /** The server may come back with another network; colours would then fall on the wrong roads. */
  async #reloadIfOtherNetwork(): Promise<void> {
    const network = await getNetwork().catch(() => null);
    if (network && network.hash !== this.roads?.network.hash) this.#setNetwork(network);
  }

  #setNetwork(network: NetworkReply): void {
    if (network.hash === this.roads?.network.hash) return;
    const projection = projectionAt(network.center as [number, number]);
    const geometry = buildGeometry(network, projection);
    const indexOf = new Map(network.segments.id.map((id, index) => [id, index]));
    this.picture = null;
    this.details = null;
    this.roads = { network, projection, geometry, indexOf };
  }

  #live(frame: LiveFrame): void {
    if (this.recordedMs !== null) return;
    if (frame.ratios.length !== this.roads?.geometry.count) {
      void this.#reloadIfOtherNetwork();
      return;
    }
    this.#show({ ...frame, live: true });
  }

  #polled(reply: SnapshotReply): void {
    this.#keepDetails(reply);
    this.#show(this.#pictureOf(reply));
  }

  #pictureOf(reply: SnapshotReply): Picture {
    const count = this.roads?.geometry.count ?? 0;
    return { head: reply, worst: slowest(reply.segments, WORST_ROWS), ratios: ratiosOfSnapshot(reply.segments, count), live: false };
  }

  #show(picture: Picture): void {
    this.reachable = true;
    const before = this.picture?.head;
    const now = performance.now();
    this.nowMs = now;
    this.arrivedMs = now;
    // Ticks go on when vehicles fall silent: what counts is whether anything new was seen.
    const isNew = before?.city.newest_observation_ms !== picture.head.city.newest_observation_ms;
    if (isNew || before?.window_s !== picture.head.window_s || picture.head.city.newest_observation_ms === null) this.movedMs = now;
    this.picture = picture;
  }

  #keepDetails(reply: SnapshotReply): void {
    const rows = new Map(reply.segments.index.map((index, i) => [index, rowAt(reply.segments, i)]));
    this.details = { head: reply, rows, arrivedMs: performance.now() };
  }
}

export const city = new City();
