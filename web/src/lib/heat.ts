// A matrix of values as a picture: a column per step, a row per unit.

import { shade } from './scales';

/**
 * Paint cells, one pixel each.
 *
 * @param values Steps × units, row-major.
 * @param order Which unit each row of the picture shows, from the top.
 * @param limits The value of the deepest colour: one for all, or each unit's own.
 */
export function paintCells(
  values: Float32Array,
  steps: number,
  units: number,
  order: readonly number[],
  limits: number | ArrayLike<number>,
  packed: Uint32Array,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, steps);
  canvas.height = Math.max(1, order.length);
  const context = canvas.getContext('2d');
  if (!context || !steps || !order.length) return canvas;
  const image = context.createImageData(steps, order.length);
  const pixels = new Uint32Array(image.data.buffer);
  order.forEach((unit, row) => {
    const limit = typeof limits === 'number' ? limits : (limits[unit] ?? 1);
    for (let step = 0; step < steps; step += 1) {
      pixels[row * steps + step] = packed[shade(values[step * units + unit] ?? 0, limit)] ?? 0;
    }
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Of the least and greatest value in each bucket [buckets, 2, units], the one farther from zero. */
export function farthest(values: Float32Array, buckets: number, units: number): Float32Array {
  const far = new Float32Array(buckets * units);
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    for (let unit = 0; unit < units; unit += 1) {
      const low = values[2 * bucket * units + unit] ?? 0;
      const high = values[(2 * bucket + 1) * units + unit] ?? 0;
      far[bucket * units + unit] = Math.abs(low) > Math.abs(high) ? low : high;
    }
  }
  return far;
}

/** The greatest magnitude of each unit, of rows of values row-major; 1 for a unit that is always 0. */
export function reaches(values: Float32Array, units: number): Float32Array {
  const most = new Float32Array(units);
  values.forEach((value, index) => {
    const size = Math.abs(value);
    if (Number.isFinite(size) && size > (most[index % units] ?? 0)) most[index % units] = size;
  });
  return most.map((size) => size || 1);
}

/** Units from least to greatest of a figure; those without one come last. */
export function sortUnits(figures: readonly (number | null)[], falling = false): number[] {
  const side = falling ? -1 : 1;
  return figures
    .map((figure, unit) => ({ figure, unit }))
    .sort((one, other) => {
      if (one.figure === null || other.figure === null) {
        return Number(one.figure === null) - Number(other.figure === null) || one.unit - other.unit;
      }
      return side * (one.figure - other.figure) || one.unit - other.unit;
    })
    .map(({ unit }) => unit);
}
