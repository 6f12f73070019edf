// A recorded page holds the answers it needs inside itself, and asks no server.

/** Numbers of the model, row-major, with their shape. */
export interface Numbers {
  shape: number[];
  values: Float32Array;
  names: string[];
  /** Of a unit: each name's value before the first symbol; null where it had none. */
  before: (number | null)[];
}

/** Numbers in a recording: where their bytes are. */
interface Packed {
  shape: number[];
  at: [number, number];
  before?: (number | null)[];
}

const WIDTH = 4; // bytes of a number

/** What stands in the page: its answers by request, and the bytes of all numbers. */
export class Recording {
  private readonly known = new Map<string, Numbers>();

  constructor(
    readonly answers: Record<string, unknown>,
    private readonly bytes: Uint8Array,
  ) {}

  /** The numbers that a path asks for: recorded so, or cut or put together from others; null where that cannot be. */
  numbers(path: string): Numbers | null {
    return this.exact(`GET ${path}`) ?? this.cut(path) ?? this.gather(path);
  }

  private exact(key: string): Numbers | null {
    const packed = this.answers[key] as Packed | undefined;
    if (!Array.isArray(packed?.shape)) return null;
    const known = this.known.get(key);
    if (known) return known;
    const numbers = { shape: packed.shape, values: ordered(this.bytes.subarray(...packed.at), packed.shape), names: [], before: packed.before ?? [] };
    this.known.set(key, numbers);
    return numbers;
  }

  /** The rows `from` to `to` of a quantity, cut from a recording of more of them. */
  private cut(path: string): Numbers | null {
    const asked = split(path);
    if (!asked.route.endsWith('/values')) return null;
    const from = Number(asked.query.get('from'));
    const to = Number(asked.query.get('to'));
    for (const key of Object.keys(this.answers)) {
      const has = split(key.replace(/^GET /, ''));
      if (has.route !== asked.route || !same(has.query, asked.query, ['layer', 'direction', 'name'])) continue;
      const start = Number(has.query.get('from'));
      const whole = this.exact(key);
      const [rows = 0, units = 0] = whole?.shape ?? [];
      if (!whole || from < start || to > start + rows) continue;
      return { shape: [to - from, units], values: whole.values.slice((from - start) * units, (to - start) * units), names: [], before: [] };
    }
    return null;
  }

  /** One unit's quantities over time, put together from recordings of all units. */
  private gather(path: string): Numbers | null {
    const asked = split(path);
    if (!asked.route.endsWith('/unit')) return null;
    const unit = Number(asked.query.get('unit'));
    const route = asked.route.replace(/unit$/, 'values');
    const rows: { name: string; values: Float32Array; before: number | null }[] = [];
    for (const key of Object.keys(this.answers)) {
      const has = split(key.replace(/^GET /, ''));
      if (has.route !== route || !same(has.query, asked.query, ['layer', 'direction'])) continue;
      if (Number(has.query.get('from')) !== 0) continue;
      const whole = this.exact(key);
      const [steps = 0, units = 0] = whole?.shape ?? [];
      if (!whole || unit >= units) continue;
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
}

/** The recording in a page; null in a page that a server serves. */
export function readRecording(page: Document): Promise<Recording> | null {
  const text = page.getElementById('recorded')?.textContent?.trim();
  return text ? unpack(text) : null;
}

/** Unpack what `explorer/packing.py` packed: how long the JSON is, the JSON, and the bytes of the numbers. */
export async function unpack(text: string): Promise<Recording> {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const whole = await new Response(stream).arrayBuffer();
  const end = WIDTH + new DataView(whole).getUint32(0, true);
  const answers = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, WIDTH, end - WIDTH))) as Record<string, unknown>;
  return new Recording(answers, new Uint8Array(whole, end));
}

/** Numbers [steps, units] from bytes that lie unit by unit, all first bytes, then all second bytes, and so on. */
export function ordered(bytes: Uint8Array, shape: readonly number[]): Float32Array {
  const [steps = 0, units = 0] = shape;
  const count = steps * units;
  const buffer = new ArrayBuffer(WIDTH * count);
  const into = new Uint8Array(buffer);
  for (let unit = 0; unit < units; unit += 1) {
    for (let step = 0; step < steps; step += 1) {
      const place = WIDTH * (step * units + unit);
      for (let byte = 0; byte < WIDTH; byte += 1) into[place + byte] = bytes[byte * count + unit * steps + step] ?? 0;
    }
  }
  return littleEndian(buffer);
}

/** Read little-endian float32, whatever the order of this machine. */
export function littleEndian(buffer: ArrayBuffer): Float32Array {
  const here = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  if (here) return new Float32Array(buffer);
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
}

function split(path: string): { route: string; query: URLSearchParams } {
  const [route = '', query = ''] = path.split('?');
  return { route, query: new URLSearchParams(query) };
}

function same(one: URLSearchParams, other: URLSearchParams, keys: string[]): boolean {
  return keys.every((key) => one.get(key) === other.get(key));
}
