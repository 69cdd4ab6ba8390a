import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { say } from './print.js';

/** Of RabbitMQ, beyond which it takes no messages: ten thousand queues with their consumers have some 1.5 GiB. */
export const BROKER_MEMORY = '4GB';

/** What the figures were measured on. The load at the start is what other programs had taken already. */
export function sayMachine(): void {
  const cores = cpus();
  const load = loadavg().map((average) => average.toFixed(2));
  say(`Machine  ${cores[0]?.model.trim() ?? 'unknown CPU'}, ${cores.length} cores, ${gib(totalmem())} GiB of memory`);
  say(`System   ${type()} ${release()}, Node ${process.version}`);
  say(`Load     ${load.join(' ')} (1, 5, 15 minutes) at ${new Date().toISOString()}`);
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1);
}
