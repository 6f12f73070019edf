// One unit's quantities over time, by name.

import type { Numbers } from './recording';

export class Series {
  readonly names: readonly string[];
  readonly steps: number;

  constructor(private readonly numbers: Numbers) {
    this.names = numbers.names;
    this.steps = numbers.shape[1] ?? 0;
  }

  /** The values of a quantity, one a step; null where it is not among them. */
  row(name: string): Float32Array | null {
    const index = this.names.indexOf(name);
    return index < 0 ? null : this.numbers.values.subarray(index * this.steps, (index + 1) * this.steps);
  }

  /** A quantity at a step, or at -1 what it was before the first symbol; null where it is not known. */
  at(name: string, step: number): number | null {
    if (step === -1) return this.numbers.before[this.names.indexOf(name)] ?? null;
    return this.row(name)?.[step] ?? null;
  }

  /** The value that a line of the picture carries: `prev(c)` is last step's. */
  carried(quantity: string, step: number): number | null {
    const last = /^prev\((.+)\)$/.exec(quantity);
    if (last) return this.carried(last[1] ?? '', step - 1);
    const known = this.at(quantity, step);
    if (known !== null) return known;
    // Circles between two quantities that no line of the equations names.
    const squashed = /^tanh\((\w+)\)$/.exec(quantity);
    if (squashed) return mapped(this.at(squashed[1] ?? '', step), Math.tanh);
    const rest = /^1 - (\w+)$/.exec(quantity);
    return rest ? mapped(this.at(rest[1] ?? '', step), (value) => 1 - value) : null;
  }
}

function mapped(value: number | null, change: (value: number) => number): number | null {
  return value === null ? null : change(value);
}

/** The mean in each of `buckets` equal stretches. */
export function means(row: Float32Array, from: number, to: number, buckets: number): Float32Array {
  const [sums, counts] = [new Float32Array(buckets), new Float32Array(buckets)];
  for (let index = from; index < to; index += 1) {
    const bucket = Math.floor(((index - from) * buckets) / (to - from));
    sums[bucket] = (sums[bucket] ?? 0) + (row[index] ?? 0);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return sums.map((sum, bucket) => sum / (counts[bucket] || 1));
}

/** Least and greatest value in each of `buckets` equal stretches: what a long row looks like from far away. */
export function envelope(row: Float32Array, from: number, to: number, buckets: number): { low: Float32Array; high: Float32Array } {
  const low = new Float32Array(buckets).fill(Infinity);
  const high = new Float32Array(buckets).fill(-Infinity);
  const count = to - from;
  for (let index = 0; index < count; index += 1) {
    const bucket = Math.floor((index * buckets) / count);
    const value = row[from + index] ?? 0;
    if (value < (low[bucket] ?? 0)) low[bucket] = value;
    if (value > (high[bucket] ?? 0)) high[bucket] = value;
  }
  return { low, high };
}
