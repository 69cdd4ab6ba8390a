import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { AgentLog } from './agent-log.js';

/** What an agent's next life has to know of its last report, so that it need not send it again. */
export interface LastReport {
  /** The report's own. */
  readonly hash: string;
  /** Of what a restart alone does not change. */
  readonly resting: string;
}

const FILE = 'last-report.json';
const HASH = /^[0-9a-f]{64}$/;

/** null: there was none, or it cannot be read; the next report is a full one then. */
export async function readLastReport(stateDir: string): Promise<LastReport | null> {
  try {
    const { hash, resting } = JSON.parse(await readFile(join(stateDir, FILE), 'utf8')) as Partial<LastReport>;
    return isHash(hash) && isHash(resting) ? { hash, resting } : null;
  } catch {
    return null;
  }
}

/** Never fails: without it the next start costs one report more. */
export async function writeLastReport(stateDir: string, report: LastReport, log: AgentLog): Promise<void> {
  try {
    const temporary = join(stateDir, `${FILE}.new`);
    await writeFile(temporary, JSON.stringify(report), { mode: 0o600 });
    await rename(temporary, join(stateDir, FILE));
  } catch (error) {
    log('warn', 'The last report is not remembered; the next start reports in full', { problem: messageOf(error) });
  }
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && HASH.test(value);
}
