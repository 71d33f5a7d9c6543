import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const server = process.env.ARTERIAL_URL ?? 'http://127.0.0.1:8080';

const KEY = /^  ('[^']+'): /gm;
const keysOf = (source: string): string => [...source.matchAll(KEY)].map(([, key]) => key).join();

/** Leaves the keys out of every language but English, of whose order they are: a fiftieth of the page's budget. */
function wordsWithoutKeys(): Plugin {
  const english = keysOf(readFileSync(new URL('src/i18n/en.ts', import.meta.url), 'utf8'));
  return {
    name: 'words-without-keys',
    enforce: 'pre',
    transform(source, id) {
      const [, language] = /\/i18n\/(de|zh)\.ts$/.exec(id) ?? [];
      if (!language) return null;
      if (keysOf(source) !== english) throw new Error(`${id}: its keys are not those of en.ts in their order`);
      const words = source.slice(source.indexOf('{', source.indexOf('export const')) + 1, source.lastIndexOf('}'));
      return { code: `import { keyed } from './keyed';\nexport const ${language} = keyed([${words.replace(KEY, '')}]);`, map: null };
    },
  };
}

export default defineConfig({
  plugins: [wordsWithoutKeys(), svelte()],
  worker: { format: 'es' },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The content policy of the server forbids data: scripts; every asset is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // One file compresses better than many, and all of it is within the budget.
    rolldownOptions: { output: { inlineDynamicImports: true } },
  },
  server: { proxy: { '/api': { target: server, ws: true } } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
