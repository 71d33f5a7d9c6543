// Keys that work everywhere, except where somebody writes.

import { city } from '../state/city.svelte';
import { ui } from '../state/ui.svelte';

/** What the space bar does in the present view; Replay plays. */
export const space: { action: (() => void) | null } = { action: null };

export function handleKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  if (target.closest('dialog[open]') || (target.matches('input, select, textarea') && target.getAttribute('type') !== 'radio')) return;
  if (event.key === '/') ui.searching = true;
  else if (event.key === '?') ui.topic = 'help';
  else if (event.key === 'j' || event.key === 'k') walk(event.key === 'j' ? 1 : -1);
  else if (event.key === ' ' && !target.matches('button, summary, a, input')) {
    if (space.action) space.action();
    else city.setPaused(city.link !== 'paused');
  } else return;
  event.preventDefault();
}

/** To the next row of the table that has the focus, or of the first one. */
function walk(step: number): void {
  const here = document.activeElement;
  const table = here?.closest('table') ?? document.querySelector('main [data-row]')?.closest('table');
  const rows = [...(table?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
  if (rows.length === 0) return;
  const pressed = rows.findIndex((row) => row === here);
  const open = pressed >= 0 ? pressed : rows.findIndex((row) => row.getAttribute('aria-pressed') === 'true');
  const next = rows[Math.max(0, Math.min(rows.length - 1, open < 0 ? 0 : open + step))];
  next.focus();
  if (next.getAttribute('aria-pressed') !== 'true') next.click();
}
