// An answer of the server for one panel: what is shown, how old it is, and why there is none.
// Old data stays while new data comes, and stays when that fails.

import { ApiError } from '../api/http';

export class Resource<T> {
  data: T | null = $state.raw(null);
  error: ApiError | Error | null = $state.raw(null);
  loading = $state(false);
  arrivedMs: number | null = $state(null);
  #latest = 0;

  constructor(private readonly fetcher: (signal: AbortSignal) => Promise<T>) {}

  readonly code = $derived(this.error instanceof ApiError ? this.error.code : null);

  load = async (): Promise<void> => {
    const mine = ++this.#latest;
    this.loading = true;
    const stop = new AbortController();
    try {
      const data = await this.fetcher(stop.signal);
      if (mine !== this.#latest) return;
      this.data = data;
      this.error = null;
      this.arrivedMs = performance.now();
    } catch (error) {
      if (mine !== this.#latest) return;
      this.error = error instanceof Error ? error : new Error(String(error));
      // What is gone is gone: a refusal that names its reason is newer than the data.
      if (error instanceof ApiError && error.status === 404) this.data = null;
    } finally {
      if (mine === this.#latest) this.loading = false;
    }
  };

  /** Forgets what was shown: it belongs to another question. */
  clear(): void {
    this.#latest++;
    [this.data, this.error, this.loading] = [null, null, false];
  }

  /** Loads now and then again while the page can be seen. Gives what stops it. */
  poll(everyMs: number): () => void {
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    const again = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden) await this.load();
      if (!stopped) timer = setTimeout(again, everyMs);
    };
    const seen = (): void => {
      if (!document.hidden) void again();
      else clearTimeout(timer);
    };
    document.addEventListener('visibilitychange', seen);
    void again();
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }
}
