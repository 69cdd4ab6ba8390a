import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;
const PARTS: readonly (readonly [string, RegExp])[] = [
  ['service', /place-service/],
  ['Postgres', /^postgres|bin\/postgres/],
  ['RabbitMQ', /beam/],
  ['agents', /place-agents/],
  ['load', /bench\/place\.js/],
];

/** CPU time in milliseconds that each part of the bench has had so far; empty where there is no /proc. */
export function cpuTimes(): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const pid of processes()) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const part = PARTS.find(([, pattern]) => pattern.test(command))?.[0];
      if (part === undefined) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      times.set(part, (times.get(part) ?? 0) + TICK_MS * (Number(fields[11]) + Number(fields[12])));
    } catch {
      // it has ended meanwhile
    }
  }
  return times;
}

function processes(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}
