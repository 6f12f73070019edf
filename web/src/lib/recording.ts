// A recorded page holds the answers it needs inside itself, and asks no server.

/** Numbers of the model, row-major, with their shape. */
export interface Numbers {
  shape: number[];
  values: Float32Array;
  names: string[];
  /** Of a unit: each name's value before the first symbol; null where it had none. */
  before: (number | null)[];
}

export interface RecordedNumbers {
  shape: number[];
  base64: string;
  names?: string[];
  before?: (number | null)[];
}

export type Recorded = Record<string, unknown>;

export function readRecording(page: Document): Recorded | null {
  const text = page.getElementById('recorded')?.textContent?.trim();
  return text ? (JSON.parse(text) as Recorded) : null;
}

export function toNumbers(answer: RecordedNumbers): Numbers {
  const bytes = Uint8Array.from(atob(answer.base64), (letter) => letter.charCodeAt(0));
  return { shape: answer.shape, values: littleEndian(bytes.buffer), names: answer.names ?? [], before: answer.before ?? [] };
}

/** Read little-endian float32, whatever the order of this machine. */
export function littleEndian(buffer: ArrayBuffer): Float32Array {
  const here = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  if (here) return new Float32Array(buffer);
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
}

/** The rows `from` to `to` of a quantity, cut from a recording of more of them. */
export function cutValues(recorded: Recorded, path: string): Numbers | null {
  const asked = split(path);
  if (!asked.route.endsWith('/values')) return null;
  const from = Number(asked.query.get('from'));
  const to = Number(asked.query.get('to'));
  for (const [key, answer] of Object.entries(recorded)) {
    const has = split(key.replace(/^GET /, ''));
    if (has.route !== asked.route || !same(has.query, asked.query, ['layer', 'direction', 'name'])) continue;
    const start = Number(has.query.get('from'));
    const whole = toNumbers(answer as RecordedNumbers);
    const [rows = 0, units = 0] = whole.shape;
    if (from < start || to > start + rows) continue;
    return {
      shape: [to - from, units],
      values: whole.values.slice((from - start) * units, (to - start) * units),
      names: [],
      before: [],
    };
  }
  return null;
}

/** One unit's quantities over time, put together from recordings of all units. */
export function gatherUnit(recorded: Recorded, path: string): Numbers | null {
  const asked = split(path);
  if (!asked.route.endsWith('/unit')) return null;
  const unit = Number(asked.query.get('unit'));
  const route = asked.route.replace(/unit$/, 'values');
  const rows: { name: string; values: Float32Array; before: number | null }[] = [];
  for (const [key, answer] of Object.entries(recorded)) {
    const has = split(key.replace(/^GET /, ''));
    if (has.route !== route || !same(has.query, asked.query, ['layer', 'direction'])) continue;
    if (Number(has.query.get('from')) !== 0) continue;
    const whole = toNumbers(answer as RecordedNumbers);
    const [steps = 0, units = 0] = whole.shape;
    if (unit >= units) continue;
    const values = Float32Array.from({ length: steps }, (_, step) => whole.values[step * units + unit] ?? 0);
    // What a quantity was before the first symbol is recorded for each unit.
    rows.push({ name: has.query.get('name') ?? '', values, before: whole.before[unit] ?? null });
  }
  const steps = Math.max(0, ...rows.map((row) => row.values.length));
  const full = rows.filter((row) => row.values.length === steps);
  if (!full.length) return null;
  const values = new Float32Array(full.length * steps);
  full.forEach((row, index) => values.set(row.values, index * steps));
  return { shape: [full.length, steps], values, names: full.map((row) => row.name), before: full.map((row) => row.before) };
}

function split(path: string): { route: string; query: URLSearchParams } {
  const [route = '', query = ''] = path.split('?');
  return { route, query: new URLSearchParams(query) };
}

function same(one: URLSearchParams, other: URLSearchParams, keys: string[]): boolean {
  return keys.every((key) => one.get(key) === other.get(key));
}
