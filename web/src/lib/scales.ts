// Colours for signed values: blue below zero, orange above, zero the colour of the page. Safe for colour-blind eyes.

import { piecewise, interpolateLab } from 'd3-interpolate';
import { rgb } from 'd3-color';

export type Scheme = 'light' | 'dark';

const STOPS: Record<Scheme, string[]> = {
  light: ['#12538f', '#3a86c4', '#a3cbe9', '#f4f3ef', '#fbcf9b', '#ea8f3c', '#b3560f'],
  dark: ['#8cc8ff', '#4b9fe3', '#245079', '#232732', '#6f4314', '#e08a35', '#ffbf70'],
};
const SIZE = 256;
const BALANCE = 0.179; // the luminance at which black and white stand out alike

export interface Colours {
  /** CSS colours, from -1 to 1. */
  css: string[];
  /** Colours of text that stands on them. */
  ink: string[];
  /** The same colours, packed as ImageData holds them on a little-endian machine. */
  packed: Uint32Array;
}

function build(scheme: Scheme): Colours {
  const between = piecewise(interpolateLab, STOPS[scheme]);
  const css = Array.from({ length: SIZE }, (_, index) => between(index / (SIZE - 1)));
  const ink = css.map((colour) => (luminance(colour) > BALANCE ? '#000000' : '#ffffff'));
  const packed = Uint32Array.from(css, (colour) => {
    const { r, g, b } = rgb(colour);
    return ((255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
  });
  return { css, ink, packed };
}

/** Relative luminance, as WCAG defines it. */
function luminance(colour: string): number {
  const { r, g, b } = rgb(colour);
  const [red = 0, green = 0, blue = 0] = [r, g, b].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const TABLES: Partial<Record<Scheme, Colours>> = {};

export function colours(scheme: Scheme): Colours {
  return (TABLES[scheme] ??= build(scheme));
}

/** The row of the table of colours for a value, where `limit` is the value of the deepest colour. */
export function shade(value: number, limit: number): number {
  if (!Number.isFinite(value)) return (SIZE - 1) >> 1;
  const part = Math.max(-1, Math.min(1, value / (limit || 1)));
  return Math.round(((part + 1) / 2) * (SIZE - 1));
}

/** The deepest colour's value: a gate's own bound, else nearly the greatest magnitude there is. */
export function limitOf(values: ArrayLike<number>, low: number | null, high: number | null, part = 0.995): number {
  if (low !== null && high !== null && Number.isFinite(low) && Number.isFinite(high)) {
    return Math.max(Math.abs(low), Math.abs(high)) || 1;
  }
  return magnitude(values, part);
}

/** The magnitude that a part of the values does not exceed, estimated on at most 20,000 of them. */
export function magnitude(values: ArrayLike<number>, part = 0.995): number {
  const stride = Math.max(1, Math.floor(values.length / 20000));
  const sizes: number[] = [];
  for (let index = 0; index < values.length; index += stride) {
    const size = Math.abs(values[index] ?? 0);
    if (Number.isFinite(size)) sizes.push(size);
  }
  if (!sizes.length) return 1;
  sizes.sort((one, other) => one - other);
  return sizes[Math.floor(part * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
}

/** Whether a value is marked as positive (1), negative (-1) or too near zero to say (0). */
export function signOf(value: number, limit: number): -1 | 0 | 1 {
  if (!(Math.abs(value) > 0.08 * limit)) return 0;
  return value > 0 ? 1 : -1;
}
