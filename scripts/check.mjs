// Everything a change must pass, in the order in which a fault is cheapest to find.
//
//   node scripts/check.mjs         format, lint, doors, types, dead code, documents, unit tests
//   node scripts/check.mjs --all   the same with all tests, on a real Postgres and a real RabbitMQ, and the simulation of faults
//   node scripts/check.mjs --all --kernel   and the agent on real kernels, in emulated machines
//
// The last line is `N passed, M failed`, the test cases. A failed step fails the whole, but keeps no other from running.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runLanes } from './test-lanes.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WITH_SERVICES = process.argv.includes('--all');
const WITH_KERNELS = process.argv.includes('--kernel');
const AT_ONCE = 2;

/** Programs by their path: npx costs half a second each time. */
const bin = (name) => [process.execPath, `node_modules/${name}`];
const TSC = [...bin('typescript/bin/tsc'), '--noEmit', '--incremental', '--tsBuildInfoFile'];

const STEPS = [
  { title: 'types', commands: [[...TSC, 'node_modules/.cache/berth/types.tsbuildinfo', '-p', '.']] },
  { title: 'format', commands: [[...bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']] },
  { title: 'lint', commands: [[...bin('oxlint/bin/oxlint'), '--deny-warnings']] },
  {
    title: 'doors',
    commands: [[...bin('dependency-cruiser/bin/dependency-cruise.mjs'), 'src', 'migrations', 'conformance']],
  },
  { title: 'dead code', commands: [[...bin('knip/bin/knip.js'), '--no-progress']] },
  ...(existsSync(`${ROOT}src/main.ts`) ? [{ title: 'documents', run: compareDocuments }] : []),
];

const failed = await runSteps();
const tests = await runLanes(stages(), ROOT);
process.exitCode = failed.length > 0 || tests !== 0 ? 1 : 0;

/** What finds most and costs least comes first, and with both cores; the long ones side by side. */
function stages() {
  if (!WITH_SERVICES) return [[['unit']]];
  const lanes = [
    ['rest', 'e2e', 'simulation'],
    ['keystone', 'clients'],
  ];
  // an emulated machine that has to share its core was seen to hang: it is alone
  return [[['unit', 'integration']], lanes, ...(WITH_KERNELS ? [[['kernel']]] : [])];
}

/** Runs the steps two at a time and reports them in their order. */
async function runSteps() {
  const waiting = STEPS.map((step) => ({ step, ...promiseWithResolver() }));
  const queue = [...waiting];
  const workers = Array.from({ length: AT_ONCE }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) next.resolve(await timed(next.step));
  });
  const bad = [];
  for (const { step, promise } of waiting) {
    const { code, output, seconds } = await promise;
    console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${step.title.padEnd(14)} ${seconds} s`);
    if (code === 0) continue;
    bad.push(step.title);
    console.log(output.trimEnd());
  }
  await Promise.all(workers);
  if (bad.length > 0) console.log(`\nFailed before the tests: ${bad.join(', ')}.`);
  return bad;
}

function promiseWithResolver() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

async function timed(step) {
  const startedAt = Date.now();
  const { code, output } = await (step.run?.() ?? runInTurn(step.commands));
  return { code, output, seconds: ((Date.now() - startedAt) / 1000).toFixed(1) };
}

async function runInTurn(commands) {
  let output = '';
  for (const command of commands) {
    const result = await runCommand(command);
    output += result.stderr + result.stdout;
    if (result.code !== 0) return { code: result.code, output };
  }
  return { code: 0, output };
}

/** What is made from the program and kept beside it says what the program says. */
async function compareDocuments() {
  const built = await runCommand([process.execPath, 'scripts/build.mjs', '--if-needed']);
  if (built.code !== 0) return { code: built.code, output: built.stdout + built.stderr };
  const { code, stdout, stderr } = await runCommand([process.execPath, 'scripts/documents.mjs', '--check']);
  return { code, output: stdout + stderr };
}

function runCommand([program, ...words]) {
  return new Promise((resolve) => {
    const child = spawn(program, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    child.once('error', (error) => resolve({ code: 1, stdout, stderr: stderr + error.message }));
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}
