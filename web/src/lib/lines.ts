// Where each symbol of a text stands: a line per line of the text, broken where it is too long.

export interface Lines {
  /** Cells from the left at which each symbol starts. */
  column: Uint32Array;
  /** The line each symbol stands on. */
  line: Uint32Array;
  /** How many cells each symbol takes. */
  width: Uint8Array;
  /** First symbol of each line, and one past the last symbol. */
  starts: number[];
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]/u;
const LINE_END = /[\n⏎]/;

/** Cells that a symbol needs: one, two for wide letters, as many as its letters for words. */
export function cells(symbol: string): number {
  let count = 0;
  for (const letter of symbol) count += WIDE.test(letter) ? 2 : 1;
  return Math.min(60, Math.max(1, count));
}

/** Set symbols on lines of `columns` cells; `gap` cells follow each symbol of word-level text. */
export function setLines(symbols: readonly string[], columns: number, breaks: boolean, gap = 0): Lines {
  const column = new Uint32Array(symbols.length);
  const line = new Uint32Array(symbols.length);
  const width = new Uint8Array(symbols.length);
  const starts = [0];
  let at = 0;
  symbols.forEach((symbol, index) => {
    const need = cells(symbol);
    if (at > 0 && at + need > columns) {
      starts.push(index);
      at = 0;
    }
    column[index] = at;
    line[index] = starts.length - 1;
    width[index] = need;
    at += need + gap;
    if (breaks && LINE_END.test(symbol) && index + 1 < symbols.length) {
      starts.push(index + 1);
      at = 0;
    }
  });
  starts.push(symbols.length);
  return { column, line, width, starts };
}

/** The symbol at a cell of a line, or the nearest one on that line. */
export function symbolAt(lines: Lines, line: number, cell: number): number {
  const row = Math.max(0, Math.min(lines.starts.length - 2, line));
  const first = lines.starts[row] ?? 0;
  const end = lines.starts[row + 1] ?? first + 1;
  let nearest = first;
  for (let index = first; index < end; index += 1) {
    if ((lines.column[index] ?? 0) > cell) break;
    nearest = index;
  }
  return nearest;
}
