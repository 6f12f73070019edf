// The tour's cards: what each shows on the live page. Positions and units are looked for in the data.

import type { Place } from './address';
import type { Facts } from '../strings/en';
import { CARDS, type CardName } from './cards';
import { say, steady } from './numbers';
import { Series } from './series';
import type { Explorer } from './store.svelte';

export const AREAS = ['text', 'next', 'cell', 'equation', 'view'] as const;
export type Area = (typeof AREAS)[number];

export interface Card {
  name: CardName;
  area: Area;
  /** Shown only where this holds. */
  fits?: (explorer: Explorer) => boolean;
  /** What the page shows for it; null where this text has no example, so that the card is left out. */
  go: (explorer: Explorer) => Promise<Partial<Place> | null>;
  /** What its words say of what is shown then, measured. */
  learn?: (explorer: Explorer) => Promise<Partial<Facts>>;
}

const SEARCHED = 400; // steps that are searched for an example

const calm: Partial<Place> = { interventions: [], edited: null, after: false, preset: '', pattern: '', marks: [] };

export const DECK: Record<CardName, Card> = {
  read: { name: 'read', area: 'text', go: async () => ({ ...calm, view: 'belt', step: 0, from: 0 }) },
  expect: {
    name: 'expect',
    area: 'next',
    go: async (explorer) => ({ ...calm, ...at(explorer, mostSurprising(explorer)) }),
  },
  loop: { name: 'loop', area: 'view', go: async () => ({ ...calm, view: 'chain' }) },
  line: {
    name: 'line',
    area: 'cell',
    fits: keeps,
    go: async (explorer) => ({ ...calm, view: 'belt', name: explorer.belts[0]?.state ?? '' }),
  },
  forget: {
    name: 'forget',
    area: 'equation',
    // What the card says of the gate is so of one between 0 and 1.
    fits: (explorer) => explorer.quantities.some((one) => one.name === explorer.belts[0]?.keep?.gate && one.low === 0 && one.high === 1),
    go: async (explorer) => {
      const [belt] = explorer.belts;
      const keep = belt?.keep;
      if (!keep) return null;
      const lost = (gate: number) => Math.abs(gate - keep.full);
      const spot = await sharpest(explorer, belt.state, keep.gate, (before, gate) => Math.abs(before) * lost(gate));
      return { ...calm, view: 'belt', name: keep.gate, unit: spot.unit, ...at(explorer, spot.step) };
    },
  },
  write: {
    name: 'write',
    area: 'equation',
    fits: (explorer) => {
      const [belt] = explorer.belts;
      return belt?.write != null && belt.write.gate !== belt.keep?.gate && belt.written.length === 1;
    },
    go: async (explorer) => {
      const belt = explorer.belts[0];
      const part = belt?.written[0] ?? '';
      const spot = await sharpest(explorer, part, part, (_, written) => Math.abs(written));
      return { ...calm, view: 'belt', name: belt?.write?.gate ?? '', unit: spot.unit, ...at(explorer, spot.step) };
    },
  },
  update: {
    name: 'update',
    area: 'view',
    fits: keeps,
    go: async (explorer) => ({ ...calm, view: 'belt', name: explorer.belts[0]?.state ?? '' }),
  },
  output: {
    name: 'output',
    area: 'equation',
    fits: (explorer) => explorer.belts[0]?.output != null,
    go: async (explorer) => ({ ...calm, name: explorer.belts[0]?.output ?? '' }),
  },
  memory: {
    name: 'memory',
    area: 'view',
    fits: (explorer) => explorer.belts[0]?.half_life === true,
    go: async (explorer) => {
      const state = explorer.belts[0]?.state ?? '';
      const unit = await longest(explorer, state);
      if (unit === null) return null;
      return { ...calm, view: 'belt', name: state, unit, from: 0, span: Math.min(explorer.steps, 200) };
    },
    learn: remembers,
  },
  find: {
    name: 'find',
    area: 'view',
    fits: (explorer) => explorer.api.live && (explorer.about?.presets.length ?? 0) > 0,
    go: async (explorer) => {
      const { best } = await explorer.api.opening(explorer.trace?.trace ?? '');
      if (!best) return null;
      const { layer, name, unit, preset } = best;
      return { ...calm, view: 'find', preset, layer, direction: 0, name, unit };
    },
  },
  gradients: {
    name: 'gradients',
    area: 'view',
    go: async (explorer) => ({ ...calm, view: 'gradients', ...at(explorer, beforeClosing(explorer)) }),
  },
  whatif: {
    name: 'whatif',
    area: 'view',
    fits: (explorer) => explorer.api.live && explorer.belts[0]?.keep != null,
    go: async (explorer) => {
      const interventions = explorer.everywhere((belt) => (belt?.keep ? { name: belt.keep.gate, value: belt.keep.none } : null));
      return { ...calm, view: 'whatif', interventions, name: explorer.belts[0]?.state ?? '' };
    },
  },
  yours: { name: 'yours', area: 'text', go: async () => ({ ...calm, view: 'heat', order: 'similarity' }) },
};

export function deck(explorer: Explorer): Card[] {
  return CARDS.map((name) => DECK[name]).filter((card) => card.fits?.(explorer) ?? true);
}

function keeps(explorer: Explorer): boolean {
  return (explorer.belts[0]?.kept.length ?? 0) > 0;
}

function at(explorer: Explorer, step: number): Partial<Place> {
  return { step, from: Math.max(0, step - Math.floor(explorer.span / 2)) };
}

function mostSurprising(explorer: Explorer): number {
  const loss = explorer.trace?.loss.slice(0, SEARCHED) ?? [];
  return loss.reduce<number>((best, one, step) => ((one ?? 0) > (loss[best] ?? 0) ? step : best), 0);
}

/** The step before a bracket or a quotation mark closes, in the later half of the text. */
function beforeClosing(explorer: Explorer): number {
  const symbols = explorer.trace?.symbols.slice(0, SEARCHED) ?? [];
  for (let step = symbols.length - 1; step > symbols.length / 3; step -= 1) {
    if (/^[)\]}"']$/.test(symbols[step] ?? '')) return step - 1;
  }
  return Math.floor(symbols.length / 2);
}

/** Where a figure of a quantity's last value and another's value is greatest. */
async function sharpest(
  explorer: Explorer,
  first: string,
  second: string,
  figure: (before: number, value: number) => number,
): Promise<{ step: number; unit: number }> {
  const { trace, spot, steps, units } = explorer;
  const end = Math.min(steps, SEARCHED);
  const [one, other] = await Promise.all([
    explorer.api.values(trace?.trace ?? '', spot, first, 0, end),
    explorer.api.values(trace?.trace ?? '', spot, second, 0, end),
  ]);
  let best = { step: 0, unit: 0, score: -1 };
  for (let step = 1; step < end; step += 1) {
    for (let unit = 0; unit < units; unit += 1) {
      const score = figure(one.values[(step - 1) * units + unit] ?? 0, other.values[step * units + unit] ?? 0);
      if (score > best.score) best = { step, unit, score };
    }
  }
  return best;
}

/** The unit that remembers longest, among those that do change: half-lives beyond the text say nothing. */
async function longest(explorer: Explorer, state: string): Promise<number | null> {
  const facts = await explorer.api.units(explorer.trace?.trace ?? '', explorer.spot, state);
  let best: { unit: number | null; life: number } = { unit: null, life: 0 };
  facts.half_life.forEach((life, unit) => {
    if (life !== null && life < explorer.steps && life > best.life) best = { unit, life };
  });
  return best.unit;
}

/** How long the chosen unit remembers, and whether it counts: whatever the model has learned, the card says what is so. */
async function remembers(explorer: Explorer): Promise<Partial<Facts>> {
  const { name, unit, spot } = explorer;
  const trace = explorer.trace?.trace ?? '';
  const [facts, numbers] = await Promise.all([explorer.api.units(trace, spot, name), explorer.api.unit(trace, spot, unit)]);
  const life = facts.half_life[unit] ?? Infinity;
  const row = new Series(numbers).row(name) ?? new Float32Array();
  return {
    life: say(life),
    keptPart: `${steady(100 * 0.5 ** (1 / life))}%`,
    shortest: Math.ceil(Math.min(...facts.half_life.map((one) => one ?? Infinity))),
    ...awayFromZero(row),
  };
}

/** At how many of a row's moves from one step to the next its magnitude grows. */
export function awayFromZero(row: ArrayLike<number>): { away: number; moves: number } {
  let away = 0;
  for (let step = 1; step < row.length; step += 1) {
    if (Math.abs(row[step] ?? 0) > Math.abs(row[step - 1] ?? 0)) away += 1;
  }
  return { away, moves: Math.max(0, row.length - 1) };
}
