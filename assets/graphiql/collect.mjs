// Copies what the GraphiQL page loads out of an npm tree, with the licence texts of all that is bundled in it.
//
//   node collect.mjs <node_modules> <target folder>

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [modules, target] = process.argv.slice(2);

const files = [
  'graphiql/graphiql.min.js',
  'graphiql/graphiql.min.css',
  'react/umd/react.production.min.js',
  'react-dom/umd/react-dom.production.min.js',
];

/** Gives the folders of all packages below a node_modules folder, nested ones too. */
function packagesIn(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap(({ name }) => {
      const path = join(folder, name);
      if (name.startsWith('@')) return packagesIn(path);
      const nested = readdirSync(path).includes('node_modules') ? packagesIn(join(path, 'node_modules')) : [];
      return [path, ...nested];
    });
}

/** Gives the licence text a package carries, or the name of its licence where it carries none. */
function licenceOf(path, manifest) {
  const file = readdirSync(path).find((name) => /^licen[cs]e/i.test(name));
  return file ? readFileSync(join(path, file), 'utf8').trim() : `Licence: ${manifest.license}`;
}

const packagesByText = new Map();
for (const path of packagesIn(modules)) {
  const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const text = licenceOf(path, manifest);
  packagesByText.set(text, [...(packagesByText.get(text) ?? []), `${manifest.name} ${manifest.version}`]);
}
const licences = [...packagesByText].map(([text, names]) => `${names.join(', ')}\n\n${text}\n`);

mkdirSync(target, { recursive: true });
for (const file of files) copyFileSync(join(modules, file), join(target, basename(file)));
writeFileSync(join(target, 'licences.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));
