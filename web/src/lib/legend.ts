// The legend below a picture that is saved: on the page its words stand beside the picture, in a file they must be in it.

import type { Pen } from './pen';
import type { Ink } from './theme.svelte';

export interface Mark {
  text: string;
  colour: string;
  /** Of a line; an area has none. */
  dash?: readonly number[];
  area?: boolean;
}

const ROW = 18;
const SIZE = 11.5;
const SWATCH = 22;

/** Draw it from a height on; gives how high it is. */
export function drawLegend(pen: Pen, legend: readonly Mark[], width: number, top: number, ink: Ink): number {
  if (!legend.length) return 0;
  let [x, y] = [10, top + ROW / 2];
  for (const { text, colour, dash, area } of legend) {
    const wide = SWATCH + 6 + length(text) + 16;
    if (x > 10 && x + wide > width) [x, y] = [10, y + ROW];
    if (area) pen.rect(x + SWATCH - 11, y - 5, 10, 10, colour);
    else pen.line([[x, y], [x + SWATCH - 1, y]], colour, 2, [...(dash ?? [])]);
    pen.text(text, x + SWATCH + 5, y, ink.ink, SIZE);
    x += wide;
  }
  return y + ROW / 2 + 4 - top;
}

/** About how long a text is, for a picture that no browser has drawn. */
function length(text: string): number {
  return [...text].reduce((sum, letter) => sum + (letter.charCodeAt(0) > 0x2e80 ? SIZE : 0.58 * SIZE), 0);
}
