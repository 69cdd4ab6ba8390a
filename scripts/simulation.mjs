// Runs the simulation of faults; see test/simulation/README.md.
//
//   node scripts/simulation.mjs [--seeds N] [--start N] [--seed N] [--verbose]
//
// The same as environment: SEEDS, START, SEED, VERBOSE=1.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const text = { type: 'string' };
const { values } = parseArgs({ options: { seeds: text, start: text, seed: text, verbose: { type: 'boolean' } } });

const said = {
  ...(values.seeds === undefined ? {} : { SEEDS: values.seeds }),
  ...(values.start === undefined ? {} : { START: values.start }),
  ...(values.seed === undefined ? {} : { SEED: values.seed }),
  ...(values.verbose ? { VERBOSE: '1' } : {}),
};
const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'simulation'], {
  cwd: ROOT,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, ...said },
});
for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => child.kill(signal));
process.once('SIGINT', () => undefined);
child.once('exit', (code) => (process.exitCode = code ?? 1));
