import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderOf, writeNotices } from '../notices.js';

function makePackage(root, name, licence) {
  const folder = join(root, 'node_modules', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.2.3', license: 'MIT' }));
  if (licence) writeFileSync(join(folder, 'LICENSE.md'), licence);
  return join(folder, 'src', 'index.js');
}

describe('notices', () => {
  it('know the package of a module', () => {
    expect(folderOf('/web/node_modules/d3-array/src/max.js')).toBe('/web/node_modules/d3-array');
    expect(folderOf('/web/node_modules/@one/two/index.js?v=1')).toBe('/web/node_modules/@one/two');
    expect(folderOf('/web/node_modules/one/node_modules/two/a.js')).toBe('/web/node_modules/one/node_modules/two');
    expect(folderOf('\0/web/node_modules/svelte/a.js')).toBe('/web/node_modules/svelte');
    expect(folderOf('/web/src/main.ts')).toBeNull();
  });

  it('tell each package once, in order, and nothing of our own', () => {
    const root = mkdtempSync(join(tmpdir(), 'notices-'));
    const modules = ['zeta', '@one/two', 'zeta'].map((name) => makePackage(root, name, `licence of ${name}\n\n`));
    const text = writeNotices([...modules, join(root, 'src', 'main.ts')]);
    const heads = ['@one/two 1.2.3 (MIT)\n\nlicence of @one/two\n', 'zeta 1.2.3 (MIT)\n\nlicence of zeta\n'];
    expect(text.split(`\n${'='.repeat(80)}\n\n`).slice(1)).toEqual(heads);
  });

  it('refuse a package without a licence', () => {
    const root = mkdtempSync(join(tmpdir(), 'notices-'));
    expect(() => writeNotices([makePackage(root, 'bare', null)])).toThrow(
      'package bare 1.2.3 has no licence file: its code cannot be in the page',
    );
  });
});
