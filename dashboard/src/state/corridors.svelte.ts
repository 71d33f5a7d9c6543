// The corridors of the city with their newest figures: several views choose among them.

import { untrack } from 'svelte';
import type { AreaRow, Areas } from '../api/contract';
import { get } from '../api/http';
import { Resource } from './resource.svelte';

class Corridors extends Resource<Areas> {
  constructor() {
    super(() => get<Areas>('corridors'));
  }

  readonly rows: AreaRow[] = $derived(this.data?.areas ?? []);
  readonly names: string[] = $derived(this.rows.map((row) => row.name));

  /** Loads what was never loaded. */
  async once(): Promise<void> {
    // Whoever calls this in an effect shall not be called again by its outcome.
    if (untrack(() => !this.data && !this.loading)) await this.load();
  }
}

export const corridors = new Corridors();
