// What a quantity is called, in the reader's language where the remark is a known one.

import type { Quantity } from './answers';
import type { Strings } from '../strings/en';

export function remark(quantity: Quantity | null | undefined, words: Strings): string {
  if (!quantity) return '';
  const part = /^part of (.+)$/.exec(quantity.comment);
  if (quantity.role === 'part' && part) return words.partOf(part[1] ?? '');
  return words.comments[quantity.comment] ?? quantity.comment;
}
