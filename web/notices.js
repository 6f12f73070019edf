// Writes the licences of the packages that a build really holds, which ask to be told wherever their code goes.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'node_modules/';
const BEGINNING = "The explorer's page holds code of the following packages.\n";
const LINE = `\n${'='.repeat(80)}\n\n`;

// The folder of the package that a module is from; null where it is from none.
export function folderOf(module) {
  const path = module.replace(/^\0/, '').replaceAll('\\', '/');
  const place = path.lastIndexOf(FOLDER);
  if (place < 0) return null;
  const [first, second] = path.slice(place + FOLDER.length).split('/');
  return path.slice(0, place + FOLDER.length) + (first.startsWith('@') ? `${first}/${second}` : first);
}

// What a package says of itself. A build without its licence would not be allowed, so there is none.
export function noticeOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((one) => /^licen[cs]e(\.(md|txt))?$/i.test(one));
  if (!file) throw new Error(`package ${name} ${version} has no licence file: its code cannot be in the page`);
  return { name, text: `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n` };
}

export function writeNotices(modules) {
  const folders = new Set(modules.map(folderOf).filter((folder) => folder !== null));
  const notices = [...folders].map(noticeOf).sort((one, other) => (one.name < other.name ? -1 : 1));
  return [BEGINNING, ...notices.map((notice) => notice.text)].join(LINE);
}

export function notices(fileName) {
  return {
    name: 'notices',
    generateBundle(options, bundle) {
      const held = Object.values(bundle).flatMap((chunk) =>
        Object.entries(chunk.modules ?? {}).filter(([, module]) => module.renderedLength > 0),
      );
      this.emitFile({ type: 'asset', fileName, source: writeNotices(held.map(([id]) => id)) });
    },
  };
}
