// The one place that knows what is looked at: every view reads it, and every view changes it through its methods.

import { untrack } from 'svelte';
import type { About, Belt, Intervention, Quantity, Run, Sample, Trace, TraceRequest } from './answers';
import { Api, NeedsServer, Refused, type Spot } from './api';
import { firstPlace, fromFragment, toFragment, type Place } from './address';
import { readLines } from './equations';
import { language } from './language.svelte';
import type { Range } from './ranges';
import { limitOf } from './scales';
import { Series } from './series';

const COLUMN = 13.3; // of the page's width, for a step of a chart: so its symbol can be read
const NARROW = 44; // steps that charts show at first on a phone
/** What a cell is called that has equations and no name. */
export const OWN = 'own-cell';
const MOST_HELD = 32; // values at once, as the server takes them
const PACE = 150; // milliseconds a step, when playing

/** An answer, and the model that gave it: when another model is chosen, it is no answer any more. */
interface Held<Answer> {
  of: string;
  answer: Answer;
}

export class Explorer {
  readonly api = new Api();
  readonly place = $state<Place>(firstPlace());
  about = $state.raw<About | null>(null);
  private heldBase = $state.raw<Held<Trace> | null>(null);
  private heldChanged = $state.raw<Held<Trace> | null>(null);
  private heldSeries = $state.raw<Held<Series> | null>(null);
  /** The order units are shown in, set by the heat map; null for their own. */
  ranks = $state.raw<number[] | null>(null);
  /** Positions that a search found, shown below the text. */
  found = $state.raw<Range[]>([]);
  playing = $state(false);
  waiting = $state(0);
  problem = $state<string | null>(null);
  narrow = $state(false);
  pageWidth = $state(1280);
  private revived = $state(0);
  private lastRevived = 0;
  private lastHeld: Intervention[] = [];
  private clock: ReturnType<typeof setInterval> | undefined;
  private busy = false;
  private readonly turns = { base: 0, changed: 0, series: 0 };

  readonly run = $derived<Run | null>(this.about?.runs.find((run) => run.id === this.place.run) ?? this.about?.runs[0] ?? null);
  /** Another run's text that was looked at when the run was changed. */
  private readonly lent = $derived<Sample[]>(
    (this.about?.runs ?? []).filter((run) => run.id !== this.run?.id).flatMap((run) => run.samples.filter((one) => one.id === this.place.sample)),
  );
  readonly samples = $derived<Sample[]>([...(this.about?.samples ?? []), ...(this.run?.samples ?? []), ...this.lent]);
  /** A link may name what this run lacks: then what comes nearest is shown. */
  readonly checkpoint = $derived(this.run?.checkpoints.find((one) => one.id === this.place.checkpoint)?.id ?? this.run?.checkpoints[0]?.id ?? 'latest');
  readonly direction = $derived(Math.min(this.place.direction, (this.run?.directions ?? 1) - 1));
  private readonly modelKey = $derived(`${this.run?.id} ${this.checkpoint}`);
  /** The text as it is; the text as it would be, in what-if; the unit's quantities of whichever is shown. */
  readonly base = $derived(this.current(this.heldBase));
  readonly changed = $derived(this.isChanged ? this.current(this.heldChanged) : null);
  readonly series = $derived(this.current(this.heldSeries));
  readonly trace = $derived<Trace | null>(this.place.after && this.changed ? this.changed : this.base);
  readonly steps = $derived(this.trace?.steps ?? 0);
  readonly step = $derived(Math.max(0, Math.min(this.place.step, this.steps - 1)));
  readonly layer = $derived(Math.min(this.place.layer, (this.run?.layers ?? 1) - 1));
  readonly spot = $derived<Spot>({ layer: this.layer, direction: this.direction });
  readonly units = $derived(this.run?.hidden_sizes[this.layer] ?? 1);
  readonly unit = $derived(Math.min(this.place.unit, this.units - 1));
  readonly quantities = $derived<Quantity[]>(this.run?.quantities[this.layer] ?? []);
  readonly lines = $derived(readLines(this.run?.equations ?? ''));
  readonly belts = $derived<Belt[]>(this.run?.belts[this.layer] ?? []);
  readonly belt = $derived<Belt | null>(this.belts.find((belt) => belt.state === this.place.name) ?? this.belts[0] ?? null);
  readonly quantity = $derived<Quantity | null>(
    this.quantities.find((quantity) => quantity.name === this.place.name) ??
      this.quantities.find((quantity) => quantity.name === this.belts[0]?.state) ??
      this.quantities.find((quantity) => quantity.role === 'state') ??
      this.quantities[0] ??
      null,
  );
  readonly name = $derived(this.quantity?.name ?? '');
  readonly row = $derived<Float32Array | null>(this.series?.row(this.name) ?? null);
  readonly limit = $derived(limitOf(this.row ?? [], this.quantity?.low ?? null, this.quantity?.high ?? null));
  readonly span = $derived(Math.max(8, Math.min(this.steps, this.place.span || (this.narrow ? NARROW : Math.round(this.pageWidth / COLUMN)))));
  readonly from = $derived(Math.max(0, Math.min(this.place.from, this.steps - this.span)));
  readonly to = $derived(Math.min(this.steps, this.from + this.span));
  readonly baseKey = $derived(this.run ? JSON.stringify([this.baseRequest(), this.revived]) : '');
  readonly changedKey = $derived(this.run && this.isChanged ? JSON.stringify([this.changedRequest(), this.revived]) : '');
  readonly seriesKey = $derived(this.trace ? JSON.stringify([this.trace.trace, this.spot, this.unit]) : '');

  get isChanged(): boolean {
    return this.place.interventions.length > 0 || this.place.edited !== null;
  }

  /** Read the address and the list of runs; call once, while a component is being made. */
  start(): void {
    const linked = /^#s=/.test(location.hash); // asked before the page itself writes into the address
    Object.assign(this.place, fromFragment(location.hash));
    addEventListener('hashchange', () => {
      if (location.hash !== toFragment(this.place)) Object.assign(this.place, fromFragment(location.hash));
    });
    void this.attempt(async () => {
      this.about = await this.api.about();
      if (!linked) await this.findBeginning();
    });
    $effect(() => {
      if (this.baseKey) void this.loadBase();
    });
    $effect(() => {
      if (this.changedKey) void this.loadChanged();
      else this.heldChanged = null;
    });
    $effect(() => {
      if (this.seriesKey) void this.loadSeries();
    });
    $effect(() => {
      const fragment = toFragment(this.place);
      // The query goes: it may hold the token that opened the page, which is not to be handed on.
      const path = location.protocol === 'file:' ? '' : location.pathname;
      const later = setTimeout(() => history.replaceState(history.state, '', path + fragment), 200);
      return () => clearTimeout(later);
    });
  }

  baseRequest(): TraceRequest {
    return { ...this.model(), ...this.reading(), interventions: [] };
  }

  changedRequest(): TraceRequest {
    const { edited, interventions } = this.place;
    const reading = edited === null ? this.reading() : { text: edited, sample: null };
    return { ...this.model(), ...reading, interventions: $state.snapshot(interventions) };
  }

  /** The text that is looked at, joined from its symbols. */
  text(): string {
    const { sample, text } = this.place;
    if (sample === null && text) return text;
    return this.samples.find((one) => one.id === (sample ?? this.samples[0]?.id))?.text ?? '';
  }

  toStep(step: number): void {
    const there = Math.max(0, Math.min(step, this.steps - 1));
    this.place.step = there;
    const margin = Math.min(4, Math.floor(this.span / 4));
    if (there < this.from + margin) this.place.from = Math.max(0, there - margin - Math.floor(this.span / 3));
    else if (there >= this.to - margin) this.place.from = Math.max(0, Math.min(this.steps, there + margin + Math.floor(this.span / 3)) - this.span);
  }

  /** Go to the next unit in the order that is shown. */
  nextUnit(by: number): void {
    const ranks = this.ranks?.length === this.units ? this.ranks : null;
    const rank = ranks ? ranks.indexOf(this.unit) : this.unit;
    const next = (rank + by + this.units) % this.units;
    this.place.unit = ranks ? (ranks[next] ?? 0) : next;
  }

  /** Show more or fewer steps, around the position. */
  zoom(factor: number): void {
    const span = Math.max(16, Math.min(this.steps, Math.round(this.span * factor)));
    const part = (this.step - this.from) / this.span;
    this.place.span = span;
    this.place.from = Math.max(0, Math.round(this.step - part * span));
  }

  /** Mark stretches of the text; what was searched for before gives way to them. */
  mark(marks: Range[]): void {
    Object.assign(this.place, marks.length ? { marks, preset: '', pattern: '' } : { marks });
  }

  read(text: string, step = 0): void {
    Object.assign(this.place, { sample: null, text, step, from: 0, marks: [], edited: null, after: false });
  }

  readSample(id: string): void {
    Object.assign(this.place, { sample: id, text: '', step: 0, from: 0, marks: [], edited: null, after: false });
  }

  play(on: boolean): void {
    clearInterval(this.clock);
    this.playing = on && this.steps > 1;
    if (!this.playing) return;
    if (this.step >= this.steps - 1) this.toStep(0);
    this.clock = setInterval(() => {
      if (this.step >= this.steps - 1) this.play(false);
      else this.toStep(this.step + 1);
    }, PACE);
  }

  /** Begin with a unit that follows something that can be seen in the text, rather than with unit 0. */
  private async findBeginning(): Promise<void> {
    const { trace } = await this.api.trace(this.baseRequest());
    const { best } = await this.api.opening(trace);
    const { unit, layer, name, step } = this.place;
    if (!best || unit !== 0 || layer !== 0 || name) return; // the reader was faster
    Object.assign(this.place, { layer: best.layer, name: best.name, unit: best.unit });
    if (step === 0) this.place.step = within(best.positions);
  }

  /** Hold in all units of all layers what is picked, by each layer's first belt. */
  everywhere(pick: (belt: Belt | undefined) => { name: string; value: number; start?: number } | null): Intervention[] {
    const directions = Array.from({ length: this.run?.directions ?? 1 }, (_, direction) => direction);
    const held = (this.run?.belts ?? []).flatMap(([belt], layer) => {
      const picked = pick(belt);
      return picked ? directions.map((direction) => ({ layer, direction, start: 0, ...picked, units: null, stop: null })) : [];
    });
    return held.slice(0, MOST_HELD);
  }

  /** Do something that may fail, and tell the reader in one sentence when it does. */
  async attempt(deed: () => Promise<void>): Promise<void> {
    untrack(() => (this.waiting += 1)); // an effect that asks must not wait for its own asking
    try {
      await deed();
      this.problem = null;
    } catch (error) {
      if (!this.revive(error)) this.problem = explain(error);
    } finally {
      this.waiting -= 1;
    }
  }

  /** A trace that the server let go of is read again, though not over and over. */
  private revive(error: unknown): boolean {
    if (!(error instanceof Refused) || error.status !== 404 || !this.base) return false;
    if (Date.now() - this.lastRevived < 5000) return false;
    this.lastRevived = Date.now();
    this.revived += 1;
    return true;
  }

  private current<Answer>(held: Held<Answer> | null): Answer | null {
    return held?.of === this.modelKey ? held.answer : null;
  }

  private model(): { run: string; checkpoint: string } {
    const run = this.run?.id ?? 'r0';
    return { run, checkpoint: this.checkpoint };
  }

  private reading(): Pick<TraceRequest, 'text' | 'sample'> {
    const { sample, text } = this.place;
    if (sample === null && text) return { text, sample: null };
    return { text: null, sample: sample ?? this.samples[0]?.id ?? '' };
  }

  /** Read the text; while one is being read, of all texts typed meanwhile only the last is asked for. */
  private async loadBase(): Promise<void> {
    const turn = ++this.turns.base;
    if (this.busy) return;
    this.busy = true;
    const of = this.modelKey;
    await this.attempt(async () => {
      const trace = await this.api.trace(this.baseRequest());
      if (turn !== this.turns.base) return;
      this.heldBase = { of, answer: trace };
      this.toStep(this.place.step);
    });
    this.busy = false;
    if (turn !== this.turns.base) await this.loadBase();
  }

  private async loadChanged(): Promise<void> {
    const turn = ++this.turns.changed;
    const of = this.modelKey;
    await this.attempt(async () => {
      try {
        const trace = await this.api.trace(this.changedRequest());
        if (turn !== this.turns.changed) return;
        this.heldChanged = { of, answer: trace };
        this.lastHeld = untrack(() => $state.snapshot(this.place.interventions));
      } catch (error) {
        // What cannot be done is not kept, in the page or in its link.
        if (turn === this.turns.changed && error instanceof Refused && error.status >= 400 && error.status < 500) {
          const wanted = JSON.stringify(this.place.interventions);
          this.place.interventions = JSON.stringify(this.lastHeld) === wanted ? [] : this.lastHeld;
        }
        throw error;
      }
    });
  }

  private async loadSeries(): Promise<void> {
    const turn = ++this.turns.series;
    const [trace, of] = [this.trace, this.modelKey];
    if (!trace) return;
    await this.attempt(async () => {
      const numbers = await this.api.unit(trace.trace, this.spot, this.unit);
      if (turn === this.turns.series) this.heldSeries = { of, answer: new Series(numbers) };
    });
  }
}

/** The step to begin at: in the midst of the first marked stretch that is near, so that there is something to see. */
function within(stretches: readonly Range[]): number {
  const [first] = stretches.filter(([start, stop]) => start > 0 && stop <= NARROW * 2);
  return first ? Math.floor((first[0] + first[1]) / 2) : 0;
}

export function explain(error: unknown): string {
  const words = language.words;
  if (error instanceof NeedsServer) return words.needsServer;
  if (error instanceof Refused) return error.status === 0 ? words.unreachable : error.message;
  return error instanceof Error ? error.message : String(error);
}

export const explorer = new Explorer();
