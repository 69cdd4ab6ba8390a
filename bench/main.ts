import { measureCommits } from './commit-rate.js';
import { measureDeviceSpecs } from './device-specs.js';
import { sayMachine } from './machine.js';
import { say } from './print.js';
import { measureRest } from './rest.js';
import { withPostgres } from './scratch-postgres.js';

const SIZES = [100, 1_000, 10_000];
const PARTS = ['device-specs', 'commit', 'rest'];

/** `npm run bench`, `npm run bench -- rest`, `npm run bench -- rest 100 1000`: parts, and numbers of hosts. */
async function main(words: readonly string[]): Promise<void> {
  const numbers = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const named = words.filter((word) => !/^\d+$/.test(word));
  const wrong = named.find((word) => !PARTS.includes(word));
  if (wrong !== undefined) throw new Error(`"${wrong}" is not a measurement; there are ${PARTS.join(', ')}`);
  const sizes = numbers.length > 0 ? numbers.sort((a, b) => a - b) : SIZES;
  const parts = named.length > 0 ? named : PARTS;
  sayMachine();
  say();
  if (parts.includes('device-specs')) measureDeviceSpecs();
  if (!parts.includes('commit') && !parts.includes('rest')) return;
  await withPostgres(async (url) => {
    const commits = await measureCommits(url);
    if (parts.includes('rest')) await measureRest(url, sizes, commits);
  });
}

await main(process.argv.slice(2));
