// Loaded before the agent (NODE_OPTIONS=--import): lets it die as by `kill -9` at a moment that a test names. The file says
// `<kind> <n>`: the n-th write of that kind from now on is the last thing that it does; n = 0: it dies instead of the first.
// The kinds: `kernel`, a write to /sys; `journal`, a version of the journal that is in place. What it did last is in /run/died.
import childProcess from 'node:child_process';
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const FILE = '/run/dying';
const LAST = '/run/died';
const { rename } = promises;
const { spawn } = childProcess;

// Each write to the kernel is a process of its own.
childProcess.spawn = (program, words, options) => {
  const [wanted, left] = plan();
  const target = program === 'dd' ? words.find((word) => word.startsWith('of=/sys/')) : undefined;
  if (wanted !== 'kernel' || target === undefined) return spawn(program, words, options);
  if (left === 0) die('nothing');
  return spawn(program, words, options).once('exit', () => counted('kernel', left, target.slice('of='.length)));
};

promises.rename = async (from, to) => {
  const [wanted, left] = plan();
  if (wanted !== 'journal' || !String(to).endsWith('/journal.json')) return rename(from, to);
  if (left === 0) die('nothing');
  await rename(from, to);
  counted('journal', left, String(to));
};

syncBuiltinESMExports();

function counted(kind, left, what) {
  if (left === 1) die(what);
  writeFileSync(FILE, `${kind} ${left - 1}`);
}

function plan() {
  try {
    const [kind, count] = readFileSync(FILE, 'utf8').trim().split(' ');
    return [kind, Number(count)];
  } catch {
    return [null, 0];
  }
}

function die(what) {
  writeFileSync(LAST, what);
  unlinkSync(FILE);
  process.kill(process.pid, 'SIGKILL');
}
