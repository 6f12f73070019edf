// The names of the tour's cards, in their order.

export const CARDS = [
  'read',
  'expect',
  'loop',
  'line',
  'forget',
  'write',
  'update',
  'output',
  'memory',
  'find',
  'gradients',
  'whatif',
  'yours',
] as const;
export type CardName = (typeof CARDS)[number];
