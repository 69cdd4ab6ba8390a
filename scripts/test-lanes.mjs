// Runs test projects of vitest in lanes: those of a lane one after the other, lanes side by side. What waits most of its time, for sweeps or for
// programs that start, leaves a core to others.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const CLOSING_LINE = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/**
 * Runs stages in turn, each a list of lanes.
 *
 * The first lane of a stage writes as it goes, the others once they are through. The last line of all is `N passed, M failed`.
 *
 * @param stages e.g. `[[['unit', 'integration']], [['e2e'], ['clients']]]`
 * @returns 0 when every lane ended well
 */
export async function runLanes(stages, root) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  let code = 0;
  for (const lanes of stages) {
    const ends = await Promise.all(lanes.map((projects, at) => runLane(projects, root, at === 0)));
    for (const { output } of ends) if (output.length > 0) console.log(output.join('\n'));
    for (const end of ends) {
      for (const name of Object.keys(total)) total[name] += end[name];
      code ||= end.code;
    }
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
  return code;
}

async function runLane(projects, root, writes) {
  console.log(`        tests: ${projects.join(', ')}`);
  const words = ['run', ...projects.flatMap((project) => ['--project', project])];
  const reporters = ['--reporter=default', '--reporter=./test/support/closing-line.reporter.ts'];
  const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) };
  const stdio = ['ignore', 'pipe', writes ? 'inherit' : 'pipe'];
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', ...words, ...reporters], {
    cwd: root,
    env,
    stdio,
  });
  const stopped = passOnSignals(child);
  const end = { passed: 0, failed: 0, skipped: 0, code: 1, output: [] };
  const take = (line) => {
    const closing = CLOSING_LINE.exec(line);
    if (closing) [end.passed, end.failed, end.skipped] = closing.slice(1).map((count) => Number(count ?? 0));
    else if (writes) console.log(line);
    else end.output.push(line);
  };
  for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', take);
  end.code = await new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (code) => resolve(code ?? 1));
  });
  stopped();
  return end;
}

/** Ctrl-C reaches vitest by itself; a signal to us alone is passed on, so that it stops its services. */
function passOnSignals(child) {
  const handlers = {
    SIGTERM: () => child.kill('SIGTERM'),
    SIGHUP: () => child.kill('SIGHUP'),
    SIGINT: () => undefined,
  };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
  };
}
