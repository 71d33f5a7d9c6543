// Debian's Prometheus over one service, and the queries that our Grafana panels ask of it.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, Process, until } from './rig';

export class Prometheus {
  private constructor(
    private readonly process: Process,
    private readonly port: number,
  ) {}

  static async start(folder: string, scraped: number): Promise<Prometheus> {
    const port = await freePort();
    const own = join(folder, 'prometheus');
    mkdirSync(own);
    writeFileSync(join(own, 'prometheus.yml'), `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: analytics\n    static_configs: [{ targets: ["127.0.0.1:${scraped}"] }]\n`);
    const process = new Process([`--config.file=${join(own, 'prometheus.yml')}`, `--storage.tsdb.path=${join(own, 'tsdb')}`, `--web.listen-address=127.0.0.1:${port}`], 'prometheus');
    const started = new Prometheus(process, port);
    await until('Prometheus is ready', async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok).catch((error) => {
      throw new Error(`${error.message}; ${process.log}`);
    });
    return started;
  }

  /** The values of all series that a query gives now. */
  async values(query: string): Promise<number[]> {
    const reply = await fetch(`http://127.0.0.1:${this.port}/api/v1/query?${new URLSearchParams({ query })}`);
    const { status, data, error } = (await reply.json()) as { status: string; error?: string; data: { result: { value: [number, string] }[] } };
    if (status !== 'success') throw new Error(`${query}: ${error}`);
    return data.result.map((series) => Number(series.value[1]));
  }

  /** The value of a query that has to give one series. */
  async value(query: string): Promise<number> {
    const found = await this.values(query);
    if (found.length !== 1) throw new Error(`${query} gives ${found.length} series`);
    return found[0];
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}

/** What a panel of deploy/grafana asks first, with its variables filled in. */
export function panelQuery(dashboard: string, title: string, variables: Record<string, string>): string {
  const file = fileURLToPath(new URL(`../../deploy/grafana/dashboards/${dashboard}.json`, import.meta.url));
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as { panels: { title: string; targets?: { expr: string }[] }[] };
  const expr = panels.find((panel) => panel.title === title && panel.targets)?.targets?.[0].expr;
  if (!expr) throw new Error(`the dashboard ${dashboard} has no panel ${title}`);
  return Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), expr);
}
