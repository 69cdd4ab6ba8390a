import { BerthError } from '../errors.js';
import { onOpenLedger } from '../store/open-ledger.js';
import { REPLAY_NOT_KNOWN } from './command-help.js';
import { replayText } from './replay-text.js';
import { replay, type ReplayQuery } from './replay.js';

/** As the command line has them. */
export interface ReplayOptions {
  readonly from?: string;
  readonly to?: string;
  readonly run?: string;
  readonly server?: string;
  readonly json?: boolean;
}

const EQUAL = 0;
const DIFFERENT = 1;

/**
 * `berth replay`.
 *
 * @param url of the database, `postgres://…`
 * @throws BerthError `request.invalid`, `database.not_migrated`; what the driver throws when there is no database
 */
export async function replayCommand(url: string, options: ReplayOptions): Promise<{ text: string; exitCode: number }> {
  const query = queryOf(options);
  const report = await onOpenLedger(url, (tx) => replay(tx, query));
  const { decisions, equal, gaps } = report;
  const isKnown = decisions > 0 && gaps.length === 0;
  return {
    text: options.json ? `${JSON.stringify(report, null, 2)}\n` : replayText(report),
    exitCode: equal < decisions ? DIFFERENT : isKnown ? EQUAL : REPLAY_NOT_KNOWN,
  };
}

function queryOf({ from, to, run, server }: ReplayOptions): ReplayQuery {
  const query = {
    from: from === undefined ? new Date(0) : timeOf('--from', from),
    to: to === undefined ? new Date() : timeOf('--to', to),
    run: run === undefined ? null : idOf('--run', run),
    server: server === undefined ? null : idOf('--server', server),
  };
  if (query.from < query.to) return query;
  throw new BerthError('request.invalid', `--from: ${from} is not before ${to ?? 'now'}`);
}

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2})$/;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function timeOf(option: string, text: string): Date {
  const time = new Date(text);
  if (TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new BerthError('request.invalid', `${option}: write a time as 2026-01-31T12:00:00Z`);
}

function idOf(option: string, text: string): string {
  if (ID.test(text)) return text.toLowerCase();
  throw new BerthError('request.invalid', `${option}: write an id as 01234567-89ab-cdef-0123-456789abcdef`);
}
