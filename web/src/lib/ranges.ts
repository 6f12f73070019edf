// Stretches of positions: [start, stop), as the server counts them.

export type Range = [number, number];

/** Positions inside any range, as one byte each. */
export function spread(ranges: readonly Range[], length: number): Uint8Array {
  const inside = new Uint8Array(length);
  for (const [start, stop] of ranges) inside.fill(1, Math.max(0, start), Math.min(length, stop));
  return inside;
}

/** The ranges of positions that are set: the opposite of `spread`. */
export function gather(inside: ArrayLike<number>): Range[] {
  const ranges: Range[] = [];
  let start = -1;
  for (let index = 0; index <= inside.length; index += 1) {
    const set = index < inside.length && inside[index] !== 0;
    if (set && start < 0) start = index;
    if (!set && start >= 0) {
      ranges.push([start, index]);
      start = -1;
    }
  }
  return ranges;
}

/** Two ends in any order, as a range that holds both. */
export function between(one: number, other: number): Range {
  return [Math.min(one, other), Math.max(one, other) + 1];
}

export function total(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, stop]) => sum + stop - start, 0);
}
