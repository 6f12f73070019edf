// The copies of a cell in a scene of the server: which step each stands for, and where it is while it is rolled up.

import type { Scene, Shape } from './answers';

const COPY = /^(?:s1\.)?t(\d+)\./; // a copy's shapes begin with its number; beside the loop they are the second part

/** The number of the copy that a shape belongs to; null for the loop, and for what stands between copies. */
export function copyOf(shape: Shape): number | null {
  const found = COPY.exec(shape.id);
  return found ? Number(found[1]) : null;
}

/** In a chain of three, the step of each copy: the one before, this one, the next. */
export function chainStep(shape: Shape, step: number): number {
  return step + (copyOf(shape) ?? 1) - 1;
}

/** Beside the loop, the first steps of the text and, behind the dots, this one. */
export function unrolledStep(scene: Scene, shape: Shape, step: number): number {
  const copy = copyOf(shape);
  if (copy === null) return step;
  const last = Math.max(...scene.shapes.map((one) => copyOf(one) ?? 0));
  return copy === last ? step : copy;
}

/** How far to the left a shape stands while its copy is rolled up, over the loop; null where it is the loop itself. */
export function rolledBy(scene: Scene, shape: Shape): number | null {
  if (shape.id.startsWith('s0.')) return null;
  const copy = copyOf(shape);
  const left = (id: string) => scene.shapes.find((one) => one.id === id)?.x;
  const [loop, own] = [left('s0.cell'), left(`s1.t${copy}.cell`)];
  return loop === undefined || own === undefined ? 0 : loop - own;
}
