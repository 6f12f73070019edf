// The door to the server, or to the recording that stands in for it.

import type {
  About,
  Elsewhere,
  ElsewhereRequest,
  Find,
  FindRequest,
  Gradients,
  Opening,
  Scene,
  Term,
  Top,
  Trace,
  TraceRequest,
  Units,
} from './answers';
import { littleEndian, readRecording, type Numbers } from './recording';

const KEPT = 160; // answers kept; those of a trace never change
const MOST_KEPT = 48e6; // bytes

/** The server refused, or could not be reached: `status` 0. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** A recorded page was asked for something that only a live server can answer. */
export class NeedsServer extends Error {}

export interface Spot {
  layer: number;
  direction: number;
}

/** Positions are asked for by one of these; the others say nothing. */
export const ASKED_BY = { ranges: null, pattern: null, preset: null } as const;

export class Api {
  readonly recorded = readRecording(document);
  private readonly kept = new Map<string, { answer: unknown; bytes: number }>();
  private bytes = 0;

  get live(): boolean {
    return this.recorded === null;
  }

  about(): Promise<About> {
    return this.get('/api/about');
  }

  scene(run: string, kind: 'chain' | 'unrolled', language: string): Promise<Scene> {
    return this.get(`/api/scene?run=${run}&kind=${kind}&language=${language}`);
  }

  trace(request: TraceRequest): Promise<Trace> {
    return this.post('/api/traces', request);
  }

  top(trace: string, from: number, to: number): Promise<Top> {
    return this.get(`/api/traces/${trace}/top?from=${from}&to=${to}`);
  }

  values(trace: string, spot: Spot, name: string, from: number, to: number): Promise<Numbers> {
    return this.numbers(`/api/traces/${trace}/values?${where(spot)}&name=${encodeURIComponent(name)}&from=${from}&to=${to}`);
  }

  overview(trace: string, spot: Spot, name: string, buckets: number): Promise<Numbers> {
    return this.numbers(`/api/traces/${trace}/overview?${where(spot)}&name=${encodeURIComponent(name)}&buckets=${buckets}`);
  }

  /** The least and greatest value of each unit in the whole text, [1, 2, units]; of a recording all of them. */
  extent(trace: string, spot: Spot, name: string, steps: number): Promise<Numbers> {
    return this.live ? this.overview(trace, spot, name, 1) : this.values(trace, spot, name, 0, steps);
  }

  unit(trace: string, spot: Spot, unit: number): Promise<Numbers> {
    return this.numbers(`/api/traces/${trace}/unit?${where(spot)}&unit=${unit}`);
  }

  terms(trace: string, spot: Spot, unit: number, step: number, name: string): Promise<Term> {
    const asked = `${where(spot)}&unit=${unit}&step=${step}&name=${encodeURIComponent(name)}`;
    return this.get(`/api/traces/${trace}/terms?${asked}`);
  }

  units(trace: string, spot: Spot, name: string): Promise<Units> {
    return this.get(`/api/traces/${trace}/units?${where(spot)}&name=${encodeURIComponent(name)}`);
  }

  gradients(trace: string, at: number): Promise<Gradients> {
    return this.get(`/api/traces/${trace}/gradients?at=${at}`);
  }

  opening(trace: string): Promise<{ best: Opening | null }> {
    return this.get(`/api/traces/${trace}/opening`);
  }

  /** In a recording only what presets mark was looked for, among the states. */
  find(trace: string, request: FindRequest): Promise<Find> {
    const { layer, direction, preset } = request;
    return this.post(`/api/traces/${trace}/find`, request, `?layer=${layer}&direction=${direction}&preset=${preset}`);
  }

  elsewhere(request: ElsewhereRequest) {
    return this.post<Elsewhere>('/api/elsewhere', request);
  }

  private async get<Answer>(path: string): Promise<Answer> {
    const known = this.kept.get(path);
    if (known) return known.answer as Answer;
    const recorded = await this.recorded;
    if (recorded) {
      const answer = recorded.answers[`GET ${path}`];
      if (answer === undefined) throw new NeedsServer(path);
      return answer as Answer;
    }
    const text = await (await ask(path)).text();
    return this.keep(path, JSON.parse(text) as Answer, 2 * text.length);
  }

  private async numbers(path: string): Promise<Numbers> {
    const known = this.kept.get(path);
    if (known) return known.answer as Numbers;
    const recorded = await this.recorded;
    const answer = recorded ? recorded.numbers(path) : await readNumbers(await ask(path));
    if (!answer) throw new NeedsServer(path);
    return this.keep(path, answer, answer.values.byteLength);
  }

  /** In a recording a request has no body: what it asks for is named behind its path. */
  private async post<Answer>(path: string, body: unknown, named = ''): Promise<Answer> {
    const recorded = await this.recorded;
    if (recorded) {
      const answer = recorded.answers[`POST ${path}${named}`];
      if (answer === undefined) throw new NeedsServer(path);
      return answer as Answer;
    }
    const headers = { 'Content-Type': 'application/json' };
    return (await ask(path, { method: 'POST', headers, body: JSON.stringify(body) })).json() as Promise<Answer>;
  }

  private keep<Answer>(path: string, answer: Answer, bytes: number): Answer {
    this.kept.set(path, { answer, bytes });
    this.bytes += bytes;
    for (const [oldest, entry] of this.kept) {
      if (this.kept.size <= KEPT && this.bytes <= MOST_KEPT) break;
      this.kept.delete(oldest);
      this.bytes -= entry.bytes;
    }
    return answer;
  }
}

function where(spot: Spot): string {
  return `layer=${spot.layer}&direction=${spot.direction}`;
}

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...options, credentials: 'same-origin', cache: 'no-store' });
  } catch (error) {
    throw new Refused(0, error instanceof Error ? error.message : String(error));
  }
  if (response.ok) return response;
  const text = await response.text();
  throw new Refused(response.status, sentence(text) ?? `${response.status} ${response.statusText}`);
}

function sentence(text: string): string | null {
  try {
    const answer = JSON.parse(text) as { error?: unknown };
    return typeof answer.error === 'string' ? answer.error : null;
  } catch {
    return null;
  }
}

async function readNumbers(response: Response): Promise<Numbers> {
  const shape = (response.headers.get('X-Shape') ?? '').split(',').map(Number);
  const names = JSON.parse(response.headers.get('X-Names') ?? '[]') as string[];
  const before = JSON.parse(response.headers.get('X-Before') ?? '[]') as (number | null)[];
  return { shape, values: littleEndian(await response.arrayBuffer()), names, before };
}
