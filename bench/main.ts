import { measureCommits } from './commit-rate.js';
import { measureDeviceSpecs } from './device-specs.js';
import { sayMachine } from './machine.js';
import { say } from './print.js';
import { measureScan } from './scan.js';
import { withPostgres } from './scratch-postgres.js';

const PARTS = ['device-specs', 'scan', 'commit'];

/** `npm run bench`, `npm run bench -- scan`: parts. */
async function main(named: readonly string[]): Promise<void> {
  const wrong = named.find((word) => !PARTS.includes(word));
  if (wrong !== undefined) throw new Error(`"${wrong}" is not a measurement; there are ${PARTS.join(', ')}`);
  const parts = named.length > 0 ? named : PARTS;
  sayMachine();
  say();
  if (parts.includes('device-specs')) measureDeviceSpecs();
  if (parts.includes('scan')) await measureScan();
  if (parts.includes('commit')) await withPostgres(measureCommits);
}

await main(process.argv.slice(2));
