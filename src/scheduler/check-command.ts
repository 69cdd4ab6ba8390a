import { BerthError } from '../errors.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { onOpenLedger } from '../store/open-ledger.js';
import { checkText } from './check-text.js';
import { check, type CheckQuery, type CheckReport } from './check.js';
import { CHECK_NOT_KNOWN } from './command-help.js';

/** As the command line has them. */
export interface CheckOptions {
  readonly host?: string;
  readonly repair?: boolean;
  readonly journals?: boolean;
  readonly wait?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const FINE = 0;
const LEFT = 1;

const WAIT = '15s';
const WAIT_MS_MAX = 600_000;
const LIMIT = '1000';
const LIMIT_MAX = 100_000;

/**
 * `berth check`.
 *
 * @param url of the database, `postgres://…`
 * @param settings of the schedulers: ratios, timeouts
 * @throws BerthError `request.invalid`, `host.unknown`, `database.not_migrated`; what the driver throws when there is no database
 */
export async function checkCommand(
  url: string,
  settings: SchedulerSettings,
  options: CheckOptions,
): Promise<{ text: string; exitCode: number }> {
  const query = queryOf(options);
  const report = await onOpenLedger(url, (_tx, ledger) => check(ledger, settings, query));
  return {
    text: options.json ? `${JSON.stringify(report, null, 2)}\n` : checkText(report),
    exitCode: exitCodeOf(report),
  };
}

function exitCodeOf({ left, more, unanswered }: CheckReport): number {
  if (left > 0 || more.length > 0) return LEFT;
  return unanswered.length > 0 ? CHECK_NOT_KNOWN : FINE;
}

function queryOf({ host, repair, journals, wait, limit }: CheckOptions): CheckQuery {
  return {
    host: host?.toLowerCase() ?? null,
    repair: repair ?? false,
    journals: journals ?? true,
    waitMs: millisecondsOf(wait ?? WAIT),
    max: countOf(limit ?? LIMIT),
  };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

function millisecondsOf(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? 0);
  if (count !== '' && ms <= WAIT_MS_MAX) return ms;
  throw new BerthError('request.invalid', '--wait: write a time up to 10m as 500ms, 15s or 2m');
}

function countOf(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= LIMIT_MAX) return count;
  throw new BerthError('request.invalid', `--limit: write a number from 1 to ${LIMIT_MAX}`);
}
