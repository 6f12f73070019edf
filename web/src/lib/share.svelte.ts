// What the view on the screen can hand out: each view registers how its picture and its numbers are made.

import type { Cell } from './save';

export interface Sheet {
  name: string;
  rows?: () => Cell[][];
  svg?: () => { svg: string; width: number; height: number };
}

class Sharing {
  sheet = $state.raw<Sheet | null>(null);
  /** The picture of the cell is on the screen beside the view. */
  cell = $state.raw<Sheet | null>(null);
}

export const sharing = new Sharing();

/** Offer a sheet while a view is shown; call inside an effect. */
export function offer(sheet: Sheet): () => void {
  sharing.sheet = sheet;
  return () => {
    if (sharing.sheet === sheet) sharing.sheet = null;
  };
}
