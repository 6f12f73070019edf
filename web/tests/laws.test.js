// The laws of the page's functions: one screen long, and no more parameters than a reader can hold.
import { describe, expect, it } from 'vitest';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const SOURCE = join(import.meta.dirname, '../src');
const LONGEST_FUNCTION = 60;
const MOST_PARAMETERS = 8;

// The script of a file; of a component what stands in its script element, on its own lines.
function scriptOf(name) {
  const text = readFileSync(join(SOURCE, name), 'utf8');
  if (!name.endsWith('.svelte')) return text;
  const match = /<script[^>]*>([\s\S]*?)<\/script>/.exec(text);
  return match ? '\n'.repeat(text.slice(0, match.index).split('\n').length - 1) + match[1] : '';
}

function measure(name) {
  const file = ts.createSourceFile(name, scriptOf(name), ts.ScriptTarget.Latest, true);
  const functions = [];
  const line = (place) => file.getLineAndCharacterOfPosition(place).line + 1;
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body) {
      const [first, last] = [line(node.getStart()), line(node.end)];
      functions.push({ where: `${name}:${first}`, lines: last - first + 1, parameters: node.parameters.length });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return functions;
}

describe('functions', () => {
  const names = readdirSync(SOURCE, { recursive: true }).filter((name) => /\.(ts|svelte)$/.test(name));
  const functions = names.flatMap(measure);
  it('are looked at', () => expect(functions.length).toBeGreaterThan(300));
  it('fit one screen', () => expect(functions.filter((one) => one.lines > LONGEST_FUNCTION)).toEqual([]));
  it('have few parameters', () => expect(functions.filter((one) => one.parameters > MOST_PARAMETERS)).toEqual([]));
});
