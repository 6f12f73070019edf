// The whole view in the address: what differs from the beginning, as JSON after `#s=`.

import type { Intervention } from './answers';
import type { Range } from './ranges';

export const VIEWS = ['next', 'cell', 'belt', 'chain', 'heat', 'find', 'gradients', 'whatif', 'compare'] as const;
export type View = (typeof VIEWS)[number];

export const ORDERS = ['index', 'similarity', 'saturation', 'half_life'] as const;
export type Order = (typeof ORDERS)[number];

export interface Place {
  run: string;
  checkpoint: string;
  /** A sample's id, or null where `text` holds what was typed. */
  sample: string | null;
  text: string;
  layer: number;
  direction: number;
  name: string;
  unit: number;
  step: number;
  /** First step of the window that charts show, and how many steps it holds. */
  from: number;
  span: number;
  view: View;
  order: Order;
  /** One scale for all rows of the heat map; else each unit of a state has its own. */
  shared: boolean;
  marks: Range[];
  pattern: string;
  preset: string;
  interventions: Intervention[];
  /** The text after an edit, for what-if; null where it is not edited. */
  edited: string | null;
  after: boolean;
  otherRun: string;
  otherCheckpoint: string;
  card: number | null;
}

export function firstPlace(): Place {
  return {
    run: 'r0',
    checkpoint: '',
    sample: null,
    text: '',
    layer: 0,
    direction: 0,
    name: '',
    unit: 0,
    step: 0,
    from: 0,
    span: 0,
    view: 'belt',
    order: 'index',
    shared: false,
    marks: [],
    pattern: '',
    preset: '',
    interventions: [],
    edited: null,
    after: false,
    otherRun: '',
    otherCheckpoint: '',
    card: null,
  };
}

/** Write a place as a fragment. */
export function toFragment(place: Place): string {
  const first = firstPlace();
  const changed = Object.entries(place).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(first[key as keyof Place]),
  );
  return '#s=' + encodeURIComponent(JSON.stringify(Object.fromEntries(changed)));
}

/** Read a fragment; what is missing or not of the right kind stays as at the beginning. */
export function fromFragment(fragment: string): Place {
  const place = firstPlace();
  const match = /^#s=(.*)$/s.exec(fragment);
  if (!match) return place;
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeURIComponent(match[1] ?? ''));
  } catch {
    return place; // a link cut short in an e-mail still opens the page
  }
  if (typeof parsed !== 'object' || parsed === null) return place;
  const given = parsed as Record<string, unknown>;
  const take = (key: keyof Place, fits: (value: unknown) => boolean) => {
    if (key in given && fits(given[key])) Object.assign(place, { [key]: given[key] });
  };
  for (const key of ['run', 'checkpoint', 'text', 'name', 'pattern', 'preset', 'otherRun', 'otherCheckpoint'] as const) {
    take(key, isText);
  }
  for (const key of ['layer', 'direction', 'unit', 'step', 'from', 'span'] as const) take(key, isCount);
  take('sample', (value) => value === null || isText(value));
  take('edited', (value) => value === null || isText(value));
  take('card', (value) => value === null || isCount(value));
  for (const key of ['after', 'shared'] as const) take(key, (value) => typeof value === 'boolean');
  take('view', (value) => (VIEWS as readonly unknown[]).includes(value));
  take('order', (value) => (ORDERS as readonly unknown[]).includes(value));
  take('marks', (value) => Array.isArray(value) && value.every(isRange));
  take('interventions', (value) => Array.isArray(value) && value.length <= 32 && value.every(isIntervention));
  return place;
}

const isText = (value: unknown) => typeof value === 'string' && value.length <= 200_000;
const isCount = (value: unknown) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1e9;

function isRange(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function isIntervention(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const given = value as Record<string, unknown>;
  return (
    isCount(given.layer) &&
    isCount(given.direction) &&
    isText(given.name) &&
    Math.abs(Number.isFinite(given.value) ? (given.value as number) : Infinity) <= 1e6 &&
    (given.units === null || (Array.isArray(given.units) && given.units.every(isCount))) &&
    isCount(given.start) &&
    (given.stop === null || isCount(given.stop))
  );
}
