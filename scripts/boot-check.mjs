// Boots `npm start` in a checkout as a newcomer would, makes a placement over HTTP, stops it, starts it again and finds
// the placement there.
//
//   node scripts/boot-check.mjs <checkout>
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SERVER_REQUEST = { name: 'ci-1', devices: 'gpu:1' };

const READY_TIMEOUT_MS = 180_000;
const ACTIVE_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 40_000;
const POLL_MS = 100;

assert(process.argv[2] !== undefined, 'Usage: node scripts/boot-check.mjs <checkout>');
const checkout = realpathSync(path.resolve(process.argv[2]));
const port = await freePort();
const base = `http://127.0.0.1:${port}`;

const first = await boot('npm start');
const { id } = await call('POST', '/v1/servers', SERVER_REQUEST, 202);
const placed = await untilActive(id);
console.log(`boot-check: server ${id} is ACTIVE on ${placed.host} with ${addressesOf(placed).join(', ')}`);
await stop(first, 'SIGTERM');

const second = await boot('npm start, again');
const found = await call('GET', `/v1/servers/${id}`, null, 200);
assert.equal(found.status, 'ACTIVE', 'the server survived the restart');
assert.deepEqual(addressesOf(found), addressesOf(placed), 'it has the same devices');
await stop(second, 'Ctrl-C');
console.log('boot-check: fine');

async function boot(title) {
  const startedAt = Date.now();
  // A session of its own, so that nothing but us stops it; it gets the signal as a service manager would send it.
  const child = spawn('npm', ['start'], {
    cwd: checkout,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, BERTH_HTTP_PORT: String(port), DATABASE_URL: '', AMQP_URL: '' },
  });
  const run = { child, output: '', exit: null };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (run.output += text));
  run.exit = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  process.once('exit', () => killGroup(child));
  const ready = untilReady();
  const outcome = await Promise.race([ready, run.exit]);
  if (outcome !== 'ready') fail(run, `${title} is not ready: ${JSON.stringify(outcome)}`);
  console.log(`boot-check: ${title} was ready after ${secondsSince(startedAt)} s`);
  return run;
}

async function untilReady() {
  for (const deadline = Date.now() + READY_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const answer = await fetch(`${base}/readyz`).catch(() => null);
    if (answer?.status === 200) return 'ready';
  }
  return `no 200 from /readyz within ${READY_TIMEOUT_MS / 1000} s`;
}

async function untilActive(id) {
  let server;
  for (const deadline = Date.now() + ACTIVE_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    server = await call('GET', `/v1/servers/${id}`, null, 200);
    if (server.status === 'ACTIVE' && server.devices.length > 0) return server;
    assert.notEqual(server.status, 'ERROR', JSON.stringify(server));
  }
  assert.fail(`The server was not ACTIVE within ${ACTIVE_TIMEOUT_MS / 1000} s: ${JSON.stringify(server)}`);
}

async function call(method, place, body, status) {
  const answer = await fetch(base + place, {
    method,
    ...(body === null ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  assert.equal(answer.status, status, `${method} ${place}: ${text}`);
  return JSON.parse(text);
}

/**
 * Must end it all: npm, Berth and the embedded Postgres. SIGTERM goes to Berth itself, as a service manager sends it (npm
 * keeps it from the program), Ctrl-C to the whole group, as a terminal does.
 */
async function stop(run, how) {
  const startedAt = Date.now();
  if (how === 'Ctrl-C') process.kill(-run.child.pid, 'SIGINT');
  else process.kill(pidOfBerth(), 'SIGTERM');
  const end = await Promise.race([run.exit, sleep(STOP_TIMEOUT_MS, null, { ref: false })]);
  if (end === null) fail(run, `It did not stop within ${STOP_TIMEOUT_MS / 1000} s of ${how}`);
  if (end.code !== 0) fail(run, `${how} ended it with ${end.signal ?? end.code}, not gracefully`);
  const left = processesIn(checkout);
  if (left.length > 0) fail(run, `${how} left processes: ${left.join(', ')}`);
  const refused = await fetch(`${base}/healthz`).then(
    () => false,
    () => true,
  );
  assert(refused, 'the port is closed');
  console.log(`boot-check: ${how} stopped it in ${secondsSince(startedAt)} s (${end.signal ?? `exit ${end.code}`})`);
}

function addressesOf(server) {
  return server.devices.map(({ address }) => address);
}

function pidOfBerth() {
  const berth = processesIn(checkout).find((line) => /^\d+ \S*node dist\/src\/main\.js /.test(line));
  assert(berth !== undefined, 'Berth runs');
  return Number.parseInt(berth, 10);
}

/** The processes that work in a folder or were started with a path in it; not the dead ones nobody fetched. */
function processesIn(folder) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => commandOf(pid).includes(folder) || workingFolderOf(pid).startsWith(folder))
    .map((pid) => `${pid} ${commandOf(pid).slice(0, 100)}`);
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function workingFolderOf(pid) {
  try {
    return realpathSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function fail(run, message) {
  killGroup(run.child);
  console.error(`boot-check: ${message}\n--- what it printed:\n${run.output}`);
  process.exit(1);
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function secondsSince(startedAt) {
  return ((Date.now() - startedAt) / 1000).toFixed(1);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port: free } = server.address();
      server.close(() => resolve(free));
    });
  });
}
