// The documents that are made from the program, and kept beside it so that people and other programs can read them:
// the API document, the types of the client that come of it, and the list of commands.
//
//   node scripts/documents.mjs            writes them, from dist/
//   node scripts/documents.mjs --check    says which are not what the program says
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapiTypes, { astToString } from 'openapi-typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The face that the command line speaks to; the OpenStack ones have clients of their own. */
const NATIVE = '/v1/';
const WORDS = ['description', 'summary', 'title'];
const TYPES_HEAD = '// Made from openapi.json by `npm run openapi`; not to be edited.\n\n';

const berth = (...words) =>
  execFileSync(process.execPath, [`${ROOT}dist/src/main.js`, ...words], { encoding: 'utf8', maxBuffer: 1 << 28 });

const openApi = berth('openapi');
const documents = [
  ['openapi/openapi.json', openApi],
  ['openapi/native-api.d.ts', await typesOf(JSON.parse(openApi))],
  ['docs/cli.md', berth('complete', 'reference')],
];

let stale = 0;
for (const [file, text] of documents) {
  const kept = existsSync(ROOT + file) ? readFileSync(ROOT + file, 'utf8') : '';
  if (text.trim() === kept.trim()) continue;
  if (!process.argv.includes('--check')) {
    writeFileSync(ROOT + file, text);
    console.log(`written: ${file}`);
    continue;
  }
  stale++;
  console.log(`${file} is not what the program says (line ${firstDifference(text, kept)}): npm run openapi`);
}
process.exitCode = stale > 0 ? 1 : 0;

/** Only what `/v1` needs of the document, and of that only shapes: the words are in the document itself. */
async function typesOf(document) {
  const native = Object.entries(document.paths).filter(([path]) => path.startsWith(NATIVE));
  const paths = bare(Object.fromEntries(native));
  for (const { responses = {} } of Object.values(paths).flatMap(Object.values)) {
    // What is refused is a Problem, always.
    for (const status of Object.keys(responses)) if (!status.startsWith('2')) delete responses[status];
  }
  const schemas = bare(reachable(document.components.schemas, [paths, { $ref: '#/components/schemas/Problem' }]));
  const nodes = await openapiTypes({ ...document, paths, components: { schemas } }, { alphabetize: true });
  return TYPES_HEAD + astToString(nodes);
}

/** Without words for people. */
function bare(value) {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key, item]) => !(WORDS.includes(key) && typeof item === 'string'));
  return Object.fromEntries(kept.map(([key, item]) => [key, bare(item)]));
}

/** The schemas that something names, and those that they name. */
function reachable(schemas, from) {
  const found = new Set();
  const queue = [from];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const [, name] of JSON.stringify(next).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (found.has(name)) continue;
      found.add(name);
      queue.push(schemas[name]);
    }
  }
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => found.has(name)));
}

function firstDifference(one, other) {
  const others = other.split('\n');
  const index = one.split('\n').findIndex((line, at) => line !== others[at]);
  return index < 0 ? others.length : index + 1;
}
