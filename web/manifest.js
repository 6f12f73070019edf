// Writes which sources a build was made of, so that a test can tell when the committed page is an old one.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const HERE = import.meta.dirname;
const PAGE = join(HERE, '../src/gatework/explorer/page');
const LEFT_OUT = new Set(['node_modules', '.vite']);

function files(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !LEFT_OUT.has(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]));
}

function digests(folder) {
  return Object.fromEntries(
    files(folder)
      .map((path) => [relative(folder, path).split(sep).join('/'), path])
      .filter(([name]) => name !== 'manifest.json')
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, path]) => [name, createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

writeFileSync(
  join(PAGE, 'manifest.json'),
  JSON.stringify({ sources: digests(HERE), page: digests(PAGE) }, null, 2) + '\n',
);
