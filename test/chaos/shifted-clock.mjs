// Loaded before Berth (`--import`): shifts the process's wall clock by what a file says, in milliseconds, while it runs;
// timers go on by the monotonic clock, as they do when an operator or NTP sets the time. Also tells the heap's size.
import { readFileSync, writeFileSync } from 'node:fs';
import v8 from 'node:v8';
import vm from 'node:vm';

const LOOK_MS = 200;
const HEAP_MS = 5_000;
const { CHAOS_CLOCK_FILE, CHAOS_HEAP_FILE } = process.env;

if (CHAOS_CLOCK_FILE !== undefined) shiftClock(CHAOS_CLOCK_FILE);
if (CHAOS_HEAP_FILE !== undefined) tellHeap(CHAOS_HEAP_FILE);

function shiftClock(file) {
  const RealDate = Date;
  let shiftMs = 0;
  const look = () => {
    try {
      shiftMs = Number(readFileSync(file, 'utf8')) || 0;
    } catch {
      shiftMs = 0;
    }
  };
  const now = () => RealDate.now() + shiftMs;
  globalThis.Date = new Proxy(RealDate, {
    apply: () => new RealDate(now()).toString(),
    construct: (target, words, made) =>
      Reflect.construct(target, words.length === 0 ? [now()] : words, made === globalThis.Date ? target : made),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
  });
  look();
  setInterval(look, LOOK_MS).unref();
}

/** Bytes in use after a full collection. */
function tellHeap(file) {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  setInterval(() => {
    collect();
    writeFileSync(file, String(process.memoryUsage().heapUsed));
  }, HEAP_MS).unref();
}
