// Runs a program of test/chaos: TypeScript that starts real processes, breaks them, and counts what is wrong afterwards.
//
//   node scripts/run-chaos.mjs chaos [--seconds 60] [--seed N] [--faults a,b,c] [--json]
//   node scripts/run-chaos.mjs soak [--minutes 10] [--json]
//
// As root on Linux it runs in a mount namespace of its own: what it mounts goes with its last process, however that ends.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MARK = 'CHAOS_OWN_MOUNTS';
const [name = 'chaos', ...words] = process.argv.slice(2);

process.chdir(ROOT);
if (process.env[MARK] === undefined && canHaveOwnMounts()) await runInOwnMounts();
else {
  const { module } = await runnerImport(`${ROOT}test/chaos/${name}.ts`, { root: ROOT, logLevel: 'error' });
  process.exit(await module.main(words));
}

function canHaveOwnMounts() {
  return process.platform === 'linux' && process.getuid() === 0 && existsSync('/usr/bin/unshare');
}

/** The same again, inside; it ends when we do. */
async function runInOwnMounts() {
  const tied = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', '--', ...tied, process.execPath, ...process.argv.slice(1)],
    { env: { ...process.env, [MARK]: '1' }, stdio: 'inherit' },
  );
  // Ctrl-C reaches both of us, a signal may be for us alone: it is passed on, and we wait for the end inside.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(2);
    });
    child.once('exit', (code) => resolve(code ?? 2));
  });
}
