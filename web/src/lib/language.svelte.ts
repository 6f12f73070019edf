// The language of the page: the reader's choice, else the browser's.

import { remember, remembered } from './theme.svelte';
import { en } from '../strings/en';
import { zhHans } from '../strings/zh-Hans';
import { zhHant } from '../strings/zh-Hant';
import type { TERMS } from '../strings/terms';
import type { Strings } from '../strings/en';

export const LANGUAGES = { en: 'English', 'zh-Hans': '简体中文', 'zh-Hant': '繁體中文' } as const satisfies Record<keyof typeof TERMS, string>;
export type Language = keyof typeof LANGUAGES;

const TABLES: Record<Language, Strings> = { en, 'zh-Hans': zhHans, 'zh-Hant': zhHant };
const KEY = 'gatework-language';

/** The table that suits a list of languages as browsers give it. */
export function suiting(tags: readonly string[]): Language {
  for (const tag of tags) {
    if (/^en\b/i.test(tag)) return 'en';
    if (/^zh\b/i.test(tag)) return /hant|-tw|-hk|-mo/i.test(tag) ? 'zh-Hant' : 'zh-Hans';
  }
  return 'en';
}

class Choice {
  choice = $state<Language>('en');
  readonly words = $derived<Strings>(TABLES[this.choice]);

  start(): void {
    const stored = remembered(KEY);
    this.set(stored !== null && stored in TABLES ? (stored as Language) : suiting(navigator.languages));
  }

  choose(choice: Language): void {
    this.set(choice);
    remember(KEY, choice);
  }

  private set(choice: Language): void {
    this.choice = choice;
    document.documentElement.lang = choice;
  }
}

export const language = new Choice();
