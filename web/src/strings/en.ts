// Every sentence of the page in English. The other languages have this table's type, so none can lack a line.

import type { CardName } from '../lib/cards';
import type { Order, View } from '../lib/address';
import { TERMS } from './terms';

/** What a card of the tour can name of what is on the page. */
export interface Facts {
  cell: string;
  symbol: string;
  next: string;
  unit: number;
  state: string;
  kept: string;
  written: string;
  /** What the old state is multiplied by: `f`, or `1 - z`; the gate itself; and its value at which all is lost. */
  keep: string;
  gate: string;
  lost: number;
  /** What is written is multiplied by it. */
  write: string;
  name: string;
  /** The equation of that. */
  line: string;
  /** Of the unit that remembers longest: what a step keeps, and its half-life; within how many steps another loses half. */
  keptPart: string;
  life: string;
  shortest: number;
  /** At how many of so many steps its state moves away from zero. */
  away: number;
  moves: number;
  /** What is marked in the text: inside quotes … */
  mark: string;
}

interface Story {
  title: string;
  text: (facts: Facts) => string[];
}

const million = (count: number) => (count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : `${Math.round(count / 1000)} k`);

export const en = {
  loading: 'Reading the text …',
  close: 'Close',
  needsServer: 'This page is a recording. For this the model must run: open it with gatework explore.',
  unreachable: 'The server does not answer. Is gatework explore still running?',
  spoken: (step: number, steps: number, symbol: string, name: string, unit: number, value: string, loss: string) =>
    `Position ${step} of ${steps}, symbol ${symbol}. ${name} of unit ${unit} is ${value}. The next symbol costs ${loss} bits.`,
  comments: TERMS.en,
  colon: ': ',
  partOf: (state: string) => `part of ${state}`,
  head: {
    run: 'Run',
    checkpoint: 'Checkpoint',
    tools: 'Tools',
    language: 'Language',
    recorded: 'recorded',
    ownCell: 'own equations',
    schemes: { system: 'as the system', light: 'light', dark: 'dark' },
    scheme: (now: string) => `Colours: ${now}. Change`,
    about: (cell: string, layers: number, units: number, parameters: number) =>
      `${cell} · ${layers} ${layers === 1 ? 'layer' : 'layers'} of ${units} units · ${million(parameters)} parameters`,
  },
  bar: {
    sample: 'Text',
    yourText: 'Your own text',
    type: 'Type …',
    back: 'One step back (←)',
    on: 'One step on (→)',
    play: 'Play (space)',
    pause: 'Pause (space)',
    step: 'Step',
    colour: 'Coloured by',
    states: 'States',
    gates: 'Gates and candidates',
    parts: 'Parts of a state',
    others: 'Others',
    unit: 'unit',
    unitBack: 'Unit before (↑)',
    unitOn: 'Next unit (↓)',
    layer: 'Layer',
    layerOf: (layer: number) => `layer ${layer}`,
    direction: 'Direction',
    forward: 'forward',
    reverse: 'reverse',
    legend: (limit: string) =>
      `Colours: blue and underlined is negative, orange positive, up to ${limit}. The grey bar below a symbol is its surprise, full at 8 bits.`,
    loss: 'surprise',
  },
  strip: {
    title: 'The text',
    summary: (steps: number, loss: string) => `Text of ${steps} symbols; the mean loss is ${loss} bits a symbol.`,
    unknown: (count: number, which: string) =>
      `${count} ${count === 1 ? 'symbol is' : 'symbols are'} not in the vocabulary, and read as unknown: ${which}`,
    asUnknown: 'read as unknown',
    told: (symbol: string, value: string, bits: string) => `“${symbol}” · ${value} · surprise ${bits} bits`,
    spoken: (step: number, steps: number, symbol: string, name: string, value: string) =>
      `${step} of ${steps}: ${symbol}, ${name} ${value}`,
  },
  writing: {
    label: 'Your text',
    placeholder: 'Type or paste something; it is read as you type.',
    done: 'Done',
    cut: (limit: number, left: number) => `Only the first ${limit.toLocaleString('en')} symbols are read; ${left.toLocaleString('en')} were left out.`,
  },
  next: {
    title: 'What comes next?',
    came: 'Came:',
    bits: 'bits',
    end: 'The text ends here.',
  },
  cell: {
    title: 'The cell at this step',
    hint: (unit: number) => `Unit ${unit} at this step; notched is negative. Click a box for its equation.`,
    none: 'There is no picture of this cell; its numbers are below.',
  },
  equation: {
    title: 'The equation with its numbers',
    chips: 'Quantities of this unit at this step',
  },
  views: {
    title: 'Views',
    next: 'Next',
    cell: 'Cell',
    belt: 'Conveyor belt',
    chain: 'Chain',
    heat: 'All units',
    find: 'Find units',
    gradients: 'Gradients',
    whatif: 'What if',
    compare: 'Compare',
  } satisfies Record<View | 'title', string>,
  chain: {
    lead: 'The loop unrolled: the same cell at every step, each copy handing its state to the next. Below: the step before, this step and the next.',
    loop: 'A recurrent network is a loop: the cell reads a symbol, and what it remembers comes back to it at the next step.',
    unroll: 'Unroll',
    roll: 'Roll up',
    hint: (unit: number) => `Unit ${unit} at the step before, at this step and at the next; notched is negative. Click a box to go there.`,
    copy: (step: number, symbol: string) => `Go to step ${step}, ${symbol}`,
  },
  belt: {
    kept: 'kept',
    written: 'written',
    together: 'together',
    before: 'last step',
    halfLife: 'Half-life',
    steps: 'steps',
    sum: 'What was, what was kept of it, what was written, what is',
    label: (state: string, unit: number) => `State ${state} of unit ${unit} over time, as what was kept and what was written.`,
    none: 'No state of this cell is a sum of something kept and something written, so there is no belt to draw.',
  },
  window: {
    title: 'The part of the text that is shown',
    more: 'Show more steps (−)',
    less: 'Show fewer steps (+)',
    label: (from: number, to: number, steps: number) => `Steps ${from} to ${to} of ${steps} are shown.`,
  },
  heat: {
    order: 'Sort by',
    orders: { index: 'number', similarity: 'similarity', saturation: 'saturation', half_life: 'half-life' } satisfies Record<Order, string>,
    lead: (units: number) => `A row for each of ${units} units, a column for each step. Click to choose.`,
    told: (unit: number, symbol: string) => `unit ${unit} at “${symbol}”:`,
    shared: 'one scale for all',
    ofRow: 'in this row',
    label: (name: string, units: number, from: number, to: number) => `${name} of ${units} units, steps ${from} to ${to}.`,
  },
  find: {
    lead: 'Which units know where they are? Mark something in the text, and see which units tell it from the rest.',
    presets: {
      inside_quotes: 'inside quotes',
      inside_brackets: 'inside brackets',
      indentation: 'indentation',
      after_comma: 'after a comma',
      comment: 'comments',
      first_word: 'first word',
      inside_word: 'inside words',
      capitals: 'capitals',
      digits: 'digits',
      line_ends: 'line ends',
    } as Record<string, string>,
    pattern: 'Pattern',
    search: 'Search',
    marked: (count: number) => `Marked: ${count}`,
    drag: 'or drag over the text',
    ranking: 'Units that follow it',
    share: (count: number, steps: number) => `${count} of ${steps} positions are marked. 1.00 tells them apart without fail, 0.50 is chance level.`,
    rises: 'rises there',
    falls: 'falls there',
    empty: 'Choose something above.',
    elsewhere: (name: string, unit: number) => `${name} #${unit} in text it never saw`,
    look: 'Look',
    high: 'Highest',
    low: 'Lowest',
  },
  gradients: {
    lead: 'How much did each step before matter to the prediction of',
    logarithmic: 'logarithmic',
    input: 'the input',
    first: 'Nothing stands before the first symbol, so there is a single point. Take a step with →.',
    memory: 'Memory reaches back',
    label: (step: number) => `Size of the gradient of the prediction at step ${step}, along each earlier step.`,
    foot: 'Norm of the gradient of the log-probability, per step, as a share of its greatest.',
  },
  whatif: {
    lead: 'Take hold of a gate, and see what the network would have done. For instance:',
    hold: 'Hold',
    at: 'at',
    of: 'Of which units',
    thisUnit: (unit: number) => `unit ${unit}`,
    allUnits: 'all units',
    allLayers: 'all units of all layers',
    when: 'From when',
    fromStart: 'from the start',
    fromHere: (step: number) => `from step ${step}`,
    apply: 'Do it',
    letter: 'Here',
    becomes: 'becomes',
    replace: 'Change',
    notEditable: 'Letters can be changed in short texts of models that read letters.',
    show: 'The page shows',
    before: 'before',
    after: 'after',
    since: (step: number) => `from ${step}`,
    remove: 'Take back',
    edited: 'edited text',
    reset: 'Take all back',
    ideas: {
      forget: (gate: string, at: number) => `Forget everything: ${gate} = ${at}`,
      remember: (gate: string, at: number, unit: number) => `Never forget: ${gate} = ${at} in unit ${unit}`,
      ignore: (gate: string, at: number) => `Write nothing: ${gate} = ${at}`,
      still: (state: string, unit: number) => `Still unit ${unit}: ${state} = 0`,
    },
  },
  versus: {
    surprise: 'surprise at each next symbol, in bits',
    values: (name: string, unit: number) => `${name} of unit ${unit}`,
    unit: 'bits a symbol',
    label: (one: string, other: string) => `Loss and state over time, ${one} and ${other}.`,
  },
  compare: {
    with: 'Beside',
    same: 'reading the same text',
    alone: 'There is one model here. Open two runs, and they read the same text side by side:',
    otherSymbols: 'The other model cuts this text into other symbols, so the two cannot be set side by side.',
    step: (step: number) => `step ${step}`,
  },
  share: {
    title: 'Share',
    link: 'Copy a link to exactly this',
    linkLead: 'Text, position, unit and view are all in the link.',
    view: 'This view',
    cell: 'The cell',
    report: 'One page that opens offline, with a recorded text:',
    copied: 'Copied.',
    inAddress: 'The link is in the address bar now.',
    saved: 'Saved.',
  },
  keys: {
    title: 'Keys',
    notices: 'Licences of the packages in this page',
    list: [
      ['← →', 'one step back, one step on'],
      ['↑ ↓', 'unit before, next unit'],
      ['Space', 'play and pause'],
      ['Home End', 'ends of the line, in the text'],
      ['Shift+← Shift+→', 'mark a stretch of the text'],
      ['[ ]', 'quantity before, next quantity'],
      ['+ −', 'fewer steps, more steps'],
      ['1 … 7', 'the views'],
      ['t', 'the tour'],
      ['?', 'these keys'],
    ] as [string, string][],
  },
  tour: {
    title: 'Tour',
    back: 'Back',
    next: 'Next',
    done: 'Done',
    end: 'End the tour',
    cards: {
      read: {
        title: 'It reads one symbol at a time',
        text: () => [
          'A recurrent network never sees the whole text. It reads a symbol, changes what it remembers a little, and reads the next.',
          'Press → to take a step, or space to let it read. Each symbol has the colour of one number that one unit holds there.',
        ],
      },
      expect: {
        title: 'At each step it guesses what comes next',
        text: ({ symbol, next }) => [
          `All it was trained for is this list. After “${symbol}” it was more surprised than anywhere else here: “${next}” came.`,
          'The grey bar below each symbol of the text says how surprising it was.',
        ],
      },
      loop: {
        title: 'One cell, used again and again',
        text: ({ cell }) => [
          `This is the whole of a layer: ${cell}. The same cell works at every step; only what comes in from the left, from the step before, differs.`,
          'Yellow boxes are learned layers, pink circles are plain arithmetic. The wider and deeper a line, the larger its value now.',
        ],
      },
      line: {
        title: 'The line along the top',
        text: ({ state }) => [
          `The idea is the line along the top, ${state}: it runs through all steps like a conveyor belt. If nothing happens to it, what lies on it simply goes along.`,
          'Two things can happen to it: something is taken off, and something is put on. Gates decide.',
        ],
      },
      forget: {
        title: 'How much to keep',
        text: ({ keep, gate, unit, symbol, state }) => [
          `${keep} is a number between 0 and 1: what part of the old ${state} is kept. At “${symbol}” unit ${unit} lets go of more than any other unit does at any step.`,
          `Below the picture stands the equation of ${gate} with this unit’s numbers, taken apart.`,
        ],
      },
      write: {
        title: 'How much to write',
        text: ({ write, written, unit, symbol }) => [
          `${write} decides how much is put on the belt, and what it is multiplied with decides what: together ${written}. Here, at “${symbol}”, unit ${unit} writes more than any other in this text.`,
        ],
      },
      update: {
        title: 'Kept plus written is the new state',
        text: ({ state, kept, written }) => [
          `${state} = ${kept} + ${written}, and nothing else. Grey is what was kept, orange and blue what was written on top, the line is the new ${state}.`,
          'It is a sum. That is why errors can travel back along it without being squashed at every step.',
        ],
      },
      output: {
        title: 'What to show',
        text: ({ name, line, state }) => [
          `What is remembered is one thing, what is shown another. ${name} is read off ${state}: ${name} = ${line}. It is what the rest of the network sees.`,
        ],
      },
      memory: {
        title: 'A unit with a long memory',
        text: ({ unit, keptPart, life, shortest, away, moves }) => [
          `Of all units whose half-life fits into this text, unit ${unit} remembers longest: on average a step keeps ${keptPart} of what was there, so half is left after ${life} steps.`,
          2 * away > moves
            ? `It counts: at ${away} of ${moves} steps its state moves away from zero, because more is put on than is lost.`
            : `Its state moves away from zero at only ${away} of ${moves} steps; at the others it fades or stays.`,
          `Try ↑ and ↓: the most forgetful of the others loses half within ${shortest === 1 ? 'a single step' : `${shortest} steps`}.`,
        ],
      },
      find: {
        title: 'Nobody told it to look for this',
        text: ({ name, unit, mark }) => [
          `Mark this in the text: ${mark}. Then rank all units by how well they tell it from the rest. ${name} of unit ${unit} comes first; the text has its colours now.`,
          '“Look” shows where this unit is highest in text that was never trained on.',
        ],
      },
      gradients: {
        title: 'How far back does it look?',
        text: ({ next }) => [
          `The curves show how much each earlier step changed the probability of “${next}”. What they follow is the way errors take when the network learns.`,
          'While the cell keeps what it holds, the gradient passes nearly whole; where it forgets, it ends.',
        ],
      },
      whatif: {
        title: 'And if it could not remember?',
        text: ({ gate, lost, state }) => [
          `Hold ${gate} at ${lost} in all units: the same network reads the same text, and nothing of the old ${state} is kept. The dashed line is its loss.`,
          'Change a letter, still a unit, hold any gate: the page shows before and after.',
        ],
      },
      yours: {
        title: 'Now it is yours',
        text: () => [
          'Type your own text, sort all units by what they do, follow one that puzzles you. The link in “Share” holds exactly what you see.',
          'Every number here is what the model computes, and any cell that gatework knows can be opened in this page.',
        ],
      },
    } as Record<CardName, Story>,
  },
};

export type Strings = typeof en;
