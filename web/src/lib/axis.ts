// The time axis that all charts share: a column per step, with its symbol below when there is room.

import { tickStep } from 'd3-array';
import { visible } from './numbers';
import type { Pen } from './pen';
import type { Ink } from './theme.svelte';

export const LEFT = 46;
export const RIGHT = 10;
export const FOOT = 22;

export interface Axis {
  from: number;
  to: number;
  column: number;
  x(step: number): number;
  middle(step: number): number;
  at(x: number): number | null;
}

export function axis(width: number, from: number, to: number, left = LEFT): Axis {
  const column = Math.max(0, width - left - RIGHT) / Math.max(1, to - from);
  return {
    from,
    to,
    column,
    x: (step) => left + (step - from) * column,
    middle: (step) => left + (step - from + 0.5) * column,
    at: (x) => {
      const step = from + Math.floor((x - left) / column);
      return step >= from && step < to ? step : null;
    },
  };
}

/** Write the symbols below a chart, or ticks where they would not fit. */
export function drawSymbols(pen: Pen, time: Axis, y: number, symbols: readonly string[], ink: Ink): void {
  const size = Math.min(12, Math.max(9, time.column * 1.35));
  const plain = symbols.slice(time.from, Math.min(time.to, time.from + 400)).every((symbol) => [...symbol].length === 1);
  if (plain && time.column >= 6.2) {
    for (let step = time.from; step < time.to; step += 1) {
      const symbol = visible(symbols[step]);
      const blank = symbol === '␣' || symbol === '⏎' || symbol === '⇥';
      pen.text(blank && symbol === '␣' ? '·' : symbol, time.middle(step), y + 10, blank ? ink.faint : ink.ink, size, 'center', true);
    }
    return;
  }
  const room = plain ? 64 : 76;
  const least = room / Math.max(time.column, 1e-6);
  const every = plain ? Math.max(1, tickStep(0, 10 * least, 8)) : Math.max(1, Math.ceil(least));
  // The first step is called 1, and ticks stand at round numbers.
  for (let number = Math.max(1, Math.ceil((time.from + 1) / every)) * every; number <= time.to; number += every) {
    const x = time.middle(number - 1);
    pen.line([[x, y + 1], [x, y + 4]], ink.faint, 1);
    const text = plain ? String(number) : visible(symbols[number - 1]).slice(0, 10);
    pen.text(text, Math.min(x, time.x(time.to) - 10), y + 12, ink.faint, 10.5, 'center');
  }
}

/** The column of the position that is looked at. */
export function drawCursor(pen: Pen, time: Axis, step: number, top: number, bottom: number, ink: Ink): void {
  if (step < time.from || step >= time.to) return;
  const x = time.x(step);
  const wide = Math.max(2, time.column);
  pen.frame(x + 0.5, top + 0.5, wide - 1, bottom - top - 1, ink.pick, 1.5);
}
