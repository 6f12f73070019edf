// What the server answers, as the page reads it. T steps, H units, N names.

export type Role = 'gate' | 'state' | 'candidate' | 'part' | 'other';

export interface Quantity {
  name: string;
  comment: string;
  role: Role;
  low: number | null;
  high: number | null;
  size: number;
}

/** A shape of the cell's picture; `quantity` is what flows along it or comes out of it. */
export interface Shape {
  id: string;
  kind: 'box' | 'circle' | 'line' | 'text' | 'frame';
  role: string;
  quantity: string;
  text: string;
  /** Pieces of the text, each with its style: '', 'sub' … */
  runs?: [string, string][];
  size?: number;
  x?: number;
  y?: number;
  width?: number;
  height?: number;
  anchor?: 'start' | 'middle' | 'end';
  path?: [string, ...number[]][];
  /** The tip of an arrow and its direction. */
  head?: [number, number, number, number] | null;
}

export interface Scene {
  width: number;
  height: number;
  shapes: Shape[];
  title: string;
  description: string;
}

/** A gate that multiplies something: the factor it makes, `f` or `1 - z`, and where that is 1 and 0. */
export interface Gate {
  gate: string;
  factor: string;
  full: number;
  none: number;
}

/** A state that is a sum, as its equation writes it. */
export interface Belt {
  state: string;
  /** The addends that carry last step's value on: `f * c`. */
  kept: string[];
  /** All others: `i * g`. */
  written: string[];
  /** The gate that alone decides how much of last step's value stays; null where there is none. */
  keep: Gate | null;
  /** A gate that shuts out all that is written; null where there is none. */
  write: Gate | null;
  /** Whether the state has a half-life. */
  half_life: boolean;
  /** The layer's output, where that is read off this state. */
  output: string | null;
}

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
  checkpoints: { id: string; step: number }[];
  quantities: Quantity[][];
  /** For each layer its states that are sums, those that keep something first. */
  belts: Belt[][];
  equations: string;
  latex: string;
  /** The cell's picture per language; without pictures, empty. */
  scene: Record<string, Scene>;
  samples: Sample[];
}

export interface Sample {
  id: string;
  title: string;
  text: string;
  steps: number;
}

export interface About {
  version: string;
  runs: Run[];
  samples: Sample[];
  presets: string[];
  limits: { text: number; steps: number };
}

export interface Intervention {
  layer: number;
  direction: number;
  name: string;
  value: number;
  units: number[] | null;
  start: number;
  stop: number | null;
}

export interface Candidate {
  symbol: string;
  probability: number;
}

export interface Trace {
  trace: string;
  steps: number;
  symbols: string[];
  /** Positions of symbols that the vocabulary lacks. */
  unknown: number[];
  /** How unlikely the model thought the symbol after each position, in nats. */
  loss: (number | null)[];
  mean_loss: number | null;
  before: { loss: number | null; top: Candidate[] };
  /** The likeliest next symbols at each position; empty for long texts. */
  top: Candidate[][];
}

export interface TraceRequest {
  run: string;
  checkpoint: string;
  text?: string;
  sample?: string;
  interventions: Intervention[];
}

export interface Term {
  text: string;
  value: number | null;
  parts: Term[];
}

export interface UnitFacts {
  half_life: (number | null)[];
  saturation: (number | null)[];
  saturated_low: (number | null)[];
  saturated_high: (number | null)[];
  order_by_similarity: number[];
}

export interface Gradients {
  at: number;
  symbol: string;
  along: Record<string, number[]>;
  layers: Record<string, number[]>[];
  memory_length: number | null;
}

export interface Ranked {
  name: string;
  unit: number;
  score: number;
  sign: number;
}

export interface Found {
  positions: [number, number][];
  marked: number;
  every: number;
  ranking: Ranked[];
}

export interface FindRequest {
  layer: number;
  direction: number;
  names: string[];
  ranges?: [number, number][];
  pattern?: string;
  preset?: string;
}

export interface Stretch {
  text: string[];
  values: number[];
  offset: number;
  peak: number;
}

export interface Elsewhere {
  high: Stretch[];
  low: Stretch[];
  searched: number;
}

export interface ElsewhereRequest {
  run: string;
  checkpoint: string;
  layer: number;
  direction: number;
  name: string;
  unit: number;
  count: number;
}

/** Numbers of the model, row-major, with their shape. */
export interface Numbers {
  shape: number[];
  values: Float32Array;
  names: string[];
  /** Of a unit: each name's value before the first symbol; null where it had none. */
  before: (number | null)[];
}
