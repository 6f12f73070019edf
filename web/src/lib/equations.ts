// Equations as text: which line makes a quantity, and which addends a state is kept by and written by.

import type { Quantity } from './answers';

export interface Line {
  name: string;
  right: string;
  comment: string;
}

export function readLines(equations: string): Line[] {
  return equations
    .split('\n')
    .map((line) => {
      const [code = '', ...comment] = line.split('#');
      const [name = '', ...right] = code.split('=');
      return { name: name.trim(), right: right.join('=').trim(), comment: comment.join('#').trim() };
    })
    .filter((line) => line.name && line.right);
}

export interface Belt {
  state: string;
  /** The addend that carries last step's value on: `f * c`. */
  kept: string | null;
  /** The addends that are written in: `i * g`. */
  written: string[];
  /** What `kept` multiplies the state by: `f`. */
  keep: string | null;
  /** What decides how much is written: `i`. */
  write: string | null;
}

/** Find, for each state with parts, what of its line keeps and what writes. */
export function belts(equations: string, quantities: readonly Quantity[]): Belt[] {
  const lines = new Map(readLines(equations).map((line) => [line.name, line]));
  const parts = quantities.filter((quantity) => quantity.role === 'part');
  const known = new Set(quantities.map((quantity) => quantity.name));
  return quantities
    .filter((quantity) => quantity.role === 'state')
    .map((quantity) => {
      const right = squeeze(lines.get(quantity.name)?.right ?? '');
      const own = parts.filter((part) => right.includes(squeeze(part.name))).map((part) => part.name);
      const kept = own.find((part) => letters(part).includes(quantity.name)) ?? null;
      const written = own.filter((part) => part !== kept);
      return {
        state: quantity.name,
        kept,
        written,
        keep: kept ? (letters(kept).find((name) => name !== quantity.name && known.has(name)) ?? null) : null,
        write: written[0] ? (letters(written[0]).find((name) => known.has(name)) ?? null) : null,
      };
    })
    .filter((belt) => belt.kept !== null || belt.written.length > 0);
}

/** The names an expression reads. */
export function letters(text: string): string[] {
  return text.match(/[A-Za-z_]\w*(?!\w*\s*\()/g) ?? [];
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, '');
}
