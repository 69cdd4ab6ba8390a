// Runs the distribution's Tempest (tempest.api.compute) against Berth, or against another cloud: test/tempest/tempest.ts.
//
//   node scripts/run-tempest.mjs [--target URL …]
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

process.chdir(ROOT);
const { module } = await runnerImport(`${ROOT}test/tempest/tempest.ts`, { root: ROOT, logLevel: 'error' });
process.exit(await module.main(process.argv.slice(2)));
