// Light or dark, as the system says or as the reader chose; and the colours of canvases, read from the style sheet.

import type { Scheme } from './scales';

export const SCHEMES = ['system', 'light', 'dark'] as const;
export type Choice = (typeof SCHEMES)[number];

const TOKENS = ['paper', 'card', 'ink', 'soft', 'faint', 'line', 'pick', 'kept', 'plus', 'minus', 'loss', 'alt', 'warn'] as const;
export type Ink = Record<(typeof TOKENS)[number], string>;

const KEY = 'gatework-scheme';

class Theme {
  choice = $state<Choice>('system');
  private system = $state<Scheme>('light');
  ink = $state.raw<Ink>(Object.fromEntries(TOKENS.map((token) => [token, '#000'])) as Ink);
  readonly scheme = $derived<Scheme>(this.choice === 'system' ? this.system : this.choice);

  start(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    this.system = dark.matches ? 'dark' : 'light';
    dark.addEventListener('change', () => {
      this.system = dark.matches ? 'dark' : 'light';
      this.apply();
    });
    const stored = remembered(KEY);
    if (stored === 'light' || stored === 'dark') this.choice = stored;
    this.apply();
  }

  choose(choice: Choice): void {
    this.choice = choice;
    remember(KEY, choice);
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset.scheme = this.scheme;
    const style = getComputedStyle(document.documentElement);
    this.ink = Object.fromEntries(TOKENS.map((token) => [token, style.getPropertyValue(`--${token}`).trim()])) as Ink;
  }
}

/** A page opened from a file may be denied its storage: then nothing is remembered, and nothing breaks. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    return;
  }
}

export const theme = new Theme();
