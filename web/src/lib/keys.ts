// The keyboard: what a key does wherever it is not typed into a field.

import type { View } from './address';
import { between } from './ranges';
import type { Explorer } from './store.svelte';

interface Deeds {
  views: readonly View[];
  keys: () => void;
  tour: () => void;
  close: () => void;
}

/** Whether an element wants the key for itself. */
function takes(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog[open]')) return true;
  if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  const pressed = target instanceof HTMLButtonElement || target.getAttribute('role') === 'button';
  return pressed && (key === ' ' || key === 'Enter');
}

export function onKey(event: KeyboardEvent, explorer: Explorer, deeds: Deeds): void {
  if (event.key === 'Escape') return deeds.close();
  if (event.ctrlKey || event.metaKey || event.altKey || takes(event.target, event.key)) return;
  const deed = deedOf(event, explorer, deeds);
  if (!deed) return;
  event.preventDefault();
  deed();
}

function deedOf(event: KeyboardEvent, explorer: Explorer, deeds: Deeds): (() => void) | null {
  switch (event.key) {
    case 'ArrowRight':
      return event.shiftKey ? () => mark(explorer, 1) : () => explorer.toStep(explorer.step + 1);
    case 'ArrowLeft':
      return event.shiftKey ? () => mark(explorer, -1) : () => explorer.toStep(explorer.step - 1);
    case 'ArrowUp':
      return () => explorer.nextUnit(-1);
    case 'ArrowDown':
      return () => explorer.nextUnit(1);
    case ' ':
      return () => explorer.play(!explorer.playing);
    case '[':
      return () => nextQuantity(explorer, -1);
    case ']':
      return () => nextQuantity(explorer, 1);
    case '+':
    case '=':
      return () => explorer.zoom(0.5);
    case '-':
      return () => explorer.zoom(2);
    case '?':
      return deeds.keys;
    case 't':
      return deeds.tour;
  }
  const view = /^[1-9]$/.test(event.key) ? deeds.views[Number(event.key) - 1] : undefined;
  return view ? () => (explorer.place.view = view) : null;
}

let anchor = 0;

/** Grow or shrink the marked stretch by a step. */
function mark(explorer: Explorer, by: number): void {
  const [range] = explorer.place.marks;
  const grows = range && (range[0] === explorer.step || range[1] - 1 === explorer.step);
  if (!grows) anchor = explorer.step;
  explorer.toStep(explorer.step + by);
  explorer.mark([between(anchor, explorer.step)]);
}

function nextQuantity(explorer: Explorer, by: number): void {
  const names = explorer.quantities.map((one) => one.name);
  explorer.place.name = names[(names.indexOf(explorer.name) + by + names.length) % names.length] ?? '';
}
