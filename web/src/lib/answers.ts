// What the page asks the server, and what the server answers. T steps, H units, N names.
// Written by `python -m gatework.explorer.typescript`. Do not edit.

/** A quantity held at a value, for some or all units, from one position to before another. */
export interface Intervention {
  layer: number;
  direction: number;
  name: string;
  value: number;
  units: number[] | null;
  start: number;
  stop: number | null;
}

/** A text to be read by a model, or a sample that the server holds. */
export interface TraceRequest {
  run: string;
  checkpoint: string;
  text: string | null;
  sample: string | null;
  interventions: Intervention[];
}

/** Positions to follow: ranges, a pattern or a preset, one of the three; and the quantities to look at. */
export interface FindRequest {
  layer: number;
  direction: number;
  names: string[];
  ranges: [number, number][] | null;
  pattern: string | null;
  preset: string | null;
}

/** A unit whose highest and lowest values in the held-out text are wanted. */
export interface ElsewhereRequest {
  layer: number;
  direction: number;
  name: string;
  run: string;
  checkpoint: string;
  unit: number;
  count: number;
}

/** A quantity as the page shows it; low and high are null if its equation sets no bound. */
export interface Quantity {
  name: string;
  comment: string;
  role: 'gate' | 'state' | 'candidate' | 'part' | 'other';
  low: number | null;
  high: number | null;
  size: number;
}

/** A gate that multiplies something: the factor it makes, and where that factor is 1 (`full`) and 0 (`none`). */
export interface Gate {
  gate: string;
  factor: string;
  full: 0 | 1;
  none: 0 | 1;
}

/**
 * A state that is a sum, as its equation writes it.
 *
 * `kept` are the addends that multiply the last value of the state, `written` are all others. `keep` is the gate
 * that alone decides how much of the last value stays, and `write` is a gate that can shut out everything that is
 * written; null if there is no such gate. `half_life` says whether the state has one. `output` is the output of
 * the layer if it is computed from this state.
 */
export interface Belt {
  state: string;
  kept: string[];
  written: string[];
  keep: Gate | null;
  write: Gate | null;
  half_life: boolean;
  output: string | null;
}

/**
 * A shape of a cell's picture; `quantity` is what flows along it or comes out of it.
 *
 * `runs` are pieces of the text, each with its style. A line has a `path` of SVG commands, and `head` gives the
 * tip and the direction of its arrow. Fields that a kind of shape does not have are absent.
 */
export interface Shape {
  id: string;
  kind: 'box' | 'circle' | 'line' | 'text' | 'frame';
  role: string;
  quantity: string;
  text: string;
  path?: (['M' | 'L', number, number] | ['Q', number, number, number, number])[];
  head?: [number, number, number, number] | null;
  from?: string;
  to?: string;
  x?: number;
  y?: number;
  width?: number;
  height?: number;
  anchor?: 'start' | 'middle' | 'end';
  runs?: [string, string][];
  size?: number;
  emphasis?: string;
  note?: string;
}

/** A picture of a cell, as shapes without colours. In a chain, ids begin with `t` and the number of the copy. */
export interface Scene {
  width: number;
  height: number;
  title: string;
  description: string;
  language: string;
  shapes: Shape[];
}

/** A text that comes with a run, or its beginning where it is longer than what may be posted; titles by language. */
export interface Sample {
  id: string;
  title: string;
  titles: Record<string, string>;
  text: string;
  steps: number;
}

/** A checkpoint; the newest is called `latest`. */
export interface Checkpoint {
  id: string;
  step: number;
}

/**
 * All that the page needs to know about a run.
 *
 * `belts` lists, for each layer, the states that are sums, those that keep something first. `scene` is the picture
 * of the cell in each language, and empty if it has none.
 */
export interface Run {
  id: string;
  title: string;
  cell: string;
  cell_title: string;
  layers: number;
  directions: number;
  hidden_sizes: number[];
  level: string;
  parameters: number;
  vocabulary: string[];
  vocabulary_size: number;
  checkpoints: Checkpoint[];
  quantities: Quantity[][];
  belts: Belt[][];
  equations: string;
  latex: string;
  scene: Record<string, Scene>;
  samples: Sample[];
}

/** The most symbols of a text that is posted, and of a sample. */
export interface Limits {
  text: number;
  steps: number;
}

/** The runs that are open, and what may be asked. */
export interface About {
  version: string;
  runs: Run[];
  samples: Sample[];
  presets: string[];
  limits: Limits;
}

/** A symbol that may come next, and how likely the model thinks it is. */
export interface Guess {
  symbol: string;
  probability: number;
}

/** What the model expected before the first symbol, after it had read a line end. */
export interface Before {
  loss: number | null;
  top: Guess[];
}

/**
 * A text that a model has read: what can be shown at once.
 *
 * `unknown` lists the positions of symbols that the vocabulary lacks. `loss` is the loss at the symbol after each
 * position, in nats. `top` is empty for long texts; ask for a window of it.
 */
export interface Trace {
  trace: string;
  steps: number;
  symbols: string[];
  unknown: number[];
  loss: (number | null)[];
  mean_loss: number | null;
  before: Before;
  top: Guess[][];
}

/** The likeliest next symbols at each position of a window. */
export interface Top {
  from: number;
  top: Guess[][];
}

/** A part of an equation with its value, and the parts it is made of. */
export interface Term {
  text: string;
  value: number | null;
  parts: Term[];
}

/**
 * Figures for every unit of a layer.
 *
 * `half_life` is in steps: of the quantity if it is a state that is carried unit by unit, else of the cell state. It
 * is null for a unit that never halves, and where no state is carried unit by unit. `saturation` is the share of
 * the steps within a tenth of the bounds of the quantity, and null if it has no bounds.
 */
export interface Units {
  half_life: (number | null)[];
  saturation: (number | null)[];
  saturated_low: (number | null)[];
  saturated_high: (number | null)[];
  order_by_similarity: number[];
}

/**
 * How much each earlier position matters to one prediction.
 *
 * Lists begin at position `from`, which is 0 unless the text is long, and end at `at`.
 */
export interface Gradients {
  at: number;
  from: number;
  symbol: string;
  along: Record<string, number[]>;
  layers: Record<string, number[]>[];
  memory_length: number | null;
}

/** A unit that follows what was marked: its AUC from 0.5 to 1, and whether it rises (1) or falls (-1) there. */
export interface Follower {
  name: string;
  unit: number;
  score: number;
  sign: 1 | -1;
}

/** The unit that a page begins with, and what it follows: a preset, whose marks are `positions`. */
export interface Opening {
  name: string;
  unit: number;
  score: number;
  sign: 1 | -1;
  layer: number;
  preset: string;
  positions: [number, number][];
}

/** The most telling unit of a text; null if no preset marks anything that units could tell apart. */
export interface Opening {
  best: Opening | null;
}

/** What was marked, as ranges, and the units that follow it best. */
export interface Find {
  positions: [number, number][];
  marked: number;
  every: number;
  ranking: Follower[];
}

/** A stretch of text with a unit's value at each symbol; `peak` is the place of its extreme. */
export interface Stretch {
  text: string[];
  values: number[];
  offset: number;
  peak: number;
}

/** Where a unit is highest and lowest. */
export interface Elsewhere {
  high: Stretch[];
  low: Stretch[];
  searched: number;
}
