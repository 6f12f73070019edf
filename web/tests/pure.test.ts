import { describe, expect, it } from 'vitest';
import { firstPlace, fromFragment, toFragment } from '../src/lib/address';
import { chainStep, copyOf, rolledBy, unrolledStep } from '../src/lib/chain';
import { readLines } from '../src/lib/equations';
import { farthest, reaches, sortUnits } from '../src/lib/heat';
import { drawLegend } from '../src/lib/legend';
import { setLines, symbolAt } from '../src/lib/lines';
import { apart, percent, say, sayTick, steady, visible } from '../src/lib/numbers';
import { escape } from '../src/lib/pen';
import { between, gather, spread, total, type Range } from '../src/lib/ranges';
import { remark } from '../src/lib/remark';
import { en } from '../src/strings/en';
import { zhHans } from '../src/strings/zh-Hans';
import { zhHant } from '../src/strings/zh-Hant';
import { unpack } from '../src/lib/recording';
import { toCsv } from '../src/lib/save';
import { colours, limitOf, shade, signOf } from '../src/lib/scales';
import { envelope, Series } from '../src/lib/series';
import { awayFromZero } from '../src/lib/tour';
import type { Pen } from '../src/lib/pen';

const LSTM = `i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
f = sigmoid(W_f @ x + R_f @ h + b_f)  # forget gate
g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
c = f * c + i * g                     # cell state
h = o * tanh(c)                       # hidden state`;

describe('ranges', () => {
  it('spread and gather undo each other', () => {
    const ranges: Range[] = [[0, 2], [5, 6], [8, 10]];
    expect(gather(spread(ranges, 10))).toEqual(ranges);
    expect(gather(new Uint8Array(4))).toEqual([]);
    expect(total(ranges)).toBe(5);
  });
  it('ranges beyond the text are cut', () => expect([...spread([[-3, 1], [3, 99]], 4)]).toEqual([1, 0, 0, 1]));
  it('ends may come in any order', () => expect(between(7, 3)).toEqual([3, 8]));
});

describe('addresses', () => {
  it('a place comes back from its fragment', () => {
    const place = { ...firstPlace(), text: 'é "a"\n漢', unit: 7, view: 'heat' as const, marks: [[1, 4]] as Range[], after: true };
    expect(fromFragment(toFragment(place))).toEqual(place);
  });
  it('what does not fit stays as at the beginning', () => {
    const wrong = '#s=' + encodeURIComponent('{"unit":-1,"step":"9","view":"nowhere","marks":[[1]],"interventions":[{"name":3}],"__proto__":{"x":1}}');
    expect(fromFragment(wrong)).toEqual(firstPlace());
    expect(fromFragment('#s=%7B%22unit')).toEqual(firstPlace());
    expect(fromFragment('#elsewhere')).toEqual(firstPlace());
  });
  it('what no server would take is left out', () => {
    const held = (value: number) => [{ layer: 0, direction: 0, name: 'f', value, units: null, start: 0, stop: null }];
    const link = (value: number) => toFragment({ ...firstPlace(), interventions: held(value) });
    expect(fromFragment(link(-1e6)).interventions).toEqual(held(-1e6));
    expect(fromFragment(link(1e9)).interventions).toEqual([]);
  });
  it('only what differs is written', () => expect(toFragment(firstPlace())).toBe('#s=%7B%7D'));
});

describe('equations', () => {
  it('lines have a name, a right side and a remark', () => {
    expect(readLines(LSTM)[4]).toEqual({ name: 'c', right: 'f * c + i * g', comment: 'cell state' });
  });
});

describe('scales', () => {
  it('zero is the middle, the ends are the limits', () => {
    expect(shade(0, 1)).toBe(128);
    expect(shade(-5, 1)).toBe(0);
    expect(shade(5, 1)).toBe(255);
    expect(shade(Number.NaN, 1)).toBe(127);
  });
  it('a gate has its own bound, a state its magnitude', () => {
    expect(limitOf([0.2], 0, 1)).toBe(1);
    expect(limitOf([0, -3, 2], null, null)).toBe(2);
    expect(limitOf([], null, null)).toBe(1);
  });
  it('text can be read on every colour', () => {
    for (const scheme of ['light', 'dark'] as const) {
      const { css, ink } = colours(scheme);
      css.forEach((colour, index) => expect(contrast(colour, ink[index] ?? '')).toBeGreaterThan(4.5));
    }
  });
  it('a sign is marked where there is one', () => expect([signOf(-1, 1), signOf(0.01, 1), signOf(1, 1)]).toEqual([-1, 0, 1]));
});

describe('numbers', () => {
  it('are said with three figures', () => {
    expect([say(0.12345), say(-12.345), say(1234.5), say(0), say(-0), say(null), say(1e-9)]).toEqual(['0.123', '−12.3', '1235', '0.00', '0.00', '–', '1.0e−9']);
    expect([sayTick(10), sayTick(0.5), sayTick(100), sayTick(0)]).toEqual(['10', '0.5', '100', '0']);
    expect([steady(-0.001), steady(-0.25), steady(undefined)]).toEqual(['0.00', '−0.25', '–']);
    expect([percent(1), percent(0.5), percent(0.012), percent(0.0001)]).toEqual(['100%', '50%', '1.2%', '<0.1%']);
  });
  it('blanks can be seen', () => expect([visible('\n'), visible(' '), visible('\u0000'), visible('a')]).toEqual(['⏎', '␣', '␀', 'a']));
});

describe('lines of text', () => {
  it('break at line ends and where they are full', () => {
    const lines = setLines([...'ab\ncdefg'], 3, true);
    expect(lines.starts).toEqual([0, 3, 6, 8]);
    expect([...lines.column]).toEqual([0, 1, 2, 0, 1, 2, 0, 1]);
    expect(symbolAt(lines, 1, 1.4)).toBe(4);
    expect(symbolAt(lines, 99, 99)).toBe(7);
  });
  it('wide letters take two cells', () => expect([...setLines([...'a漢b'], 9, true).column]).toEqual([0, 1, 3]));
});

describe('heat maps', () => {
  it('of two extremes the one farther from zero is shown', () => {
    expect([...farthest(Float32Array.of(-3, 0, 1, 2), 1, 2)]).toEqual([-3, 2]);
  });
  it('units without a figure come last', () => expect(sortUnits([3, null, 1], true)).toEqual([0, 2, 1]));
});

describe('series', () => {
  const series = new Series({ shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6), names: ['f', 'c'], before: [null, 9] });
  it('has rows by name', () => expect([...(series.row('c') ?? [])]).toEqual([4, 5, 6]));
  it('knows last step, and what was before the first', () => {
    expect([series.carried('prev(c)', 1), series.carried('prev(c)', 0), series.carried('prev(f)', 0)]).toEqual([4, 9, null]);
    expect([series.carried('1 - f', 0), series.carried('x', 0)]).toEqual([0, null]);
  });
  it('an envelope holds every extreme', () => {
    const { low, high } = envelope(Float32Array.of(1, -5, 2, 7), 0, 4, 2);
    expect([...low, ...high]).toEqual([-5, 2, 1, 7]);
  });
});

describe('recordings', () => {
  // What `pack` of explorer/packing.py writes of 1, 2 and 3, 4 with what was before them, and of a plain answer.
  const packed =
    'H4sIAAAAAAACA+tgYGCoVnJ3DVHQTyzI1C8pSkxOLdYvMdQvS8wpTS22z0msTC2yNVBLySxKTS7JzM8DsvMSc1Ntk9XSivJzgbyS' +
    'fFsjJatqpeKMxIJUJatoIx2jWB2lpNS0/CIQN680J0fHQM8UKJZYAuQb6BiaxdbqIKysBAoqHV6pFFvLAAUNDgwN9g4ODgADZgcwnAAAAA==';
  const path = '/api/traces/t1/values?layer=0&direction=0&name=c';
  it('numbers and plain answers come back', async () => {
    const recording = await unpack(packed);
    expect([...(recording.numbers(`${path}&from=0&to=2`)?.values ?? [])]).toEqual([1, 2, 3, 4]);
    expect(recording.answers['GET /api/y']).toEqual(['é']);
    expect(recording.numbers('/api/y')).toBeNull();
  });
  it('a window is cut from a longer one', async () => {
    const recording = await unpack(packed);
    expect([...(recording.numbers(`${path}&from=1&to=2`)?.values ?? [])]).toEqual([3, 4]);
    expect(recording.numbers(`${path.replace('layer=0', 'layer=1')}&from=1&to=2`)).toBeNull();
  });
  it('a unit is gathered from all units', async () => {
    const unit = (await unpack(packed)).numbers('/api/traces/t1/unit?layer=0&direction=0&unit=1');
    expect([unit?.names, [...(unit?.values ?? [])], unit?.before]).toEqual([['c'], [2, 4], [0.5]]);
  });
});

describe('files', () => {
  it('cells with signs are quoted, and none is a formula', () => {
    expect(toCsv([['a,b', 'say "x"', '=1+1', -2, null]])).toBe(`"a,b","say ""x""",'=1+1,-2,\r\n`);
  });
  it('text in a picture is only text', () => expect(escape('<b a="&">\u0000')).toBe('&lt;b a=&quot;&amp;&quot;&gt;\ufffd'));
});

describe('legends', () => {
  it('of many marks take more than a row', () => {
    const written: [string, number, number][] = [];
    const pen = { line: () => {}, rect: () => {}, text: (text: string, x: number, y: number) => written.push([text, x, y]) } as unknown as Pen;
    const marks = ['kept f * c', 'written i * g', 'together c'].map((text) => ({ text, colour: '#000' }));
    const ink = {} as Parameters<typeof drawLegend>[4];
    expect(drawLegend(pen, [], 200, 100, ink)).toBe(0);
    const high = drawLegend(pen, marks, 260, 100, ink);
    expect(written.map(([text]) => text)).toEqual(['kept f * c', 'written i * g', 'together c']);
    expect(written.every(([, x, y]) => x < 260 && y > 100 && y < 100 + high)).toBe(true);
    expect(new Set(written.map(([, , y]) => y)).size).toBe(2);
  });
});

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const parts = colour.startsWith('#')
    ? [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))
    : (colour.match(/[\d.]+/g) ?? []).map(Number);
  const [red = 0, green = 0, blue = 0] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe('remarks', () => {
  const called = (comment: string, role: 'gate' | 'part' = 'gate') => ({ name: 'z', comment, role, low: 0, high: 1, size: 4 });
  it('a known one is said in the language of the page, with what stands behind its colon', () => {
    const keeps = called('update gate: 1 keeps');
    expect([en, zhHans, zhHant].map((words) => remark(keeps, words))).toEqual([
      'update gate: 1 keeps',
      '更新门：1 表示保留',
      '更新閘：1 表示保留',
    ]);
    expect(remark(called('normaliser'), zhHans)).toBe('归一化项');
    expect(remark(called('forget gate, never forgets'), zhHant)).toBe('遺忘閘：從不遺忘');
  });
  it('what is not known behind the colon is left out, and a remark that is not known stays', () => {
    expect(remark(called('forget gate: my own'), zhHans)).toBe('遗忘门');
    expect(remark(called('my own: 1 keeps'), zhHans)).toBe('my own: 1 keeps');
    expect(remark(called(''), zhHans)).toBe('');
  });
  it('a part of a state says of which', () => expect(remark(called('part of c', 'part'), zhHans)).toBe('c 的一部分'));
});

describe('two numbers and their distance', () => {
  it('fit together in the decimals that are shown', () => {
    expect(apart(1.3651, 1.3649)).toEqual({ one: '1.3651', other: '1.3649', distance: '−0.0002' });
    expect(apart(1.3661, 1.3642)).toEqual({ one: '1.366', other: '1.364', distance: '−0.002' });
    expect(apart(2.561, 4.9)).toEqual({ one: '2.56', other: '4.90', distance: '+2.34' });
    expect(apart(1.5, 1.5)).toEqual({ one: '1.50', other: '1.50', distance: '0.00' });
    expect(apart(null, 1)).toEqual({ one: '–', other: '1.00', distance: '–' });
  });
});

describe('scales of rows', () => {
  it('each unit has its greatest magnitude, and one that is always 0 has 1', () => {
    expect([...reaches(Float32Array.of(1, 0, -180, 0.5, 0, 2), 3)]).toEqual([1, 1, 180]);
  });
});

describe('counting', () => {
  it('moves away from zero are counted on both sides of it', () => {
    expect(awayFromZero([0, 1, 2, 2, 1, -2])).toEqual({ away: 3, moves: 5 });
    expect(awayFromZero([])).toEqual({ away: 0, moves: 0 });
  });
});

describe('the chain', () => {
  const shape = (id: string, x = 0) => ({ id, kind: 'box', role: 'cell', quantity: '', text: 'A', x }) as const;
  const shapes = [shape('s0.cell', 20), shape('s1.t0.cell', 300), shape('s1.t1.cell', 400), shape('s1.t4.cell', 700), shape('equals', 200)];
  const scene = { width: 800, height: 100, title: '', description: '', language: 'en', shapes: [...shapes] };
  it('of three copies stands for the step before, this one and the next', () => {
    expect(['t0.f', 't1.f', 't2.f'].map((id) => chainStep(shape(id), 7))).toEqual([6, 7, 8]);
  });
  it('beside the loop begins with the text and ends with this step', () => {
    expect(shapes.map((one) => unrolledStep(scene, one, 9))).toEqual([9, 0, 1, 9, 9]);
    expect(shapes.map(copyOf)).toEqual([null, 0, 1, 4, null]);
  });
  it('rolled up, every copy lies over the loop', () => {
    expect(shapes.map((one) => rolledBy(scene, one))).toEqual([null, -280, -380, -680, 0]);
  });
});
