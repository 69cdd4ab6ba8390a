// Loaded before the agent (NODE_OPTIONS=--import): lets it die as by `kill -9` at a moment that a test names. The file says
// `<kind> <n>`: the n-th write of that kind from now on is the last thing that it does; n = 0: it dies instead of the first.
// The kinds: `kernel`, a write to /sys; `journal`, a version of the journal that is in place.
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const FILE = '/run/dying';
const { open, rename } = promises;

promises.open = async (path, ...rest) => {
  const file = await open(path, ...rest);
  if (!String(path).startsWith('/sys/')) return file;
  const write = file.write.bind(file);
  file.write = (...words) => around('kernel', () => write(...words));
  return file;
};

promises.rename = (from, to) =>
  String(to).endsWith('/journal.json') ? around('journal', () => rename(from, to)) : rename(from, to);

syncBuiltinESMExports();

async function around(kind, act) {
  const [wanted, left] = plan();
  if (wanted !== kind) return act();
  if (left === 0) die();
  const result = await act();
  if (left === 1) die();
  writeFileSync(FILE, `${kind} ${left - 1}`);
  return result;
}

function plan() {
  try {
    const [kind, count] = readFileSync(FILE, 'utf8').trim().split(' ');
    return [kind, Number(count)];
  } catch {
    return [null, 0];
  }
}

function die() {
  unlinkSync(FILE);
  process.kill(process.pid, 'SIGKILL');
}
