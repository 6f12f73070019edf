// What a quantity is called, in the reader's language where the remark is a known one.

import type { Quantity } from './answers';
import type { Strings } from '../strings/en';

export function remark(quantity: Quantity | null | undefined, words: Strings): string {
  if (!quantity) return '';
  const { comment, role } = quantity;
  const part = /^part of (.+)$/.exec(comment);
  if (role === 'part' && part) return words.partOf(part[1] ?? '');
  // Of `update gate: 1 keeps` each half is a word of its own; what is not known behind the colon is left out.
  const [, name = comment, more = ''] = /^([^:,]+)[:,] *(.+)$/.exec(comment) ?? [];
  const [known, told] = [words.comments[name], words.comments[more]];
  if (known === undefined) return comment;
  return told === undefined ? known : known + words.colon + told;
}
