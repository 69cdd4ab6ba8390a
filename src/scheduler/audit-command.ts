import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import type { AuditAnchor, AuditEntry } from '../store/audit-chain.js';
import { readAuditEnds, readHostNames, readTrail } from '../store/audit-views.store.js';
import type { Tx } from '../store/database.js';
import { onOpenLedger } from '../store/open-ledger.js';
import { verifyAudit } from './audit-report.js';
import { auditReportText, trailText } from './audit-text.js';

/** As the command line has them. */
export interface VerifyOptions {
  readonly from?: string;
  readonly anchor?: string;
  readonly json?: boolean;
}

export interface ShowOptions {
  readonly device?: string;
  readonly server?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

export interface CommandOutcome {
  readonly text: string;
  readonly exitCode: number;
}

const SHOWN_DEFAULT = 50;
const SHOWN_MAX = 10_000;

const VERIFY_HELP = `
Nothing is changed. An anchor is what \`berth audit head\` printed, kept where whoever can write the database cannot. Exit code:
  0  the chain is whole
  1  it is broken: what is told is the first entry that is not as it was sealed
  2  not known: there is no database, an entry that was asked for is not kept any more, or another error`;

/** Has a command ask the database of its options, tell what comes of it and exit with its code. */
export type OnDatabase = (command: Command, work: (url: string, options: never) => Promise<CommandOutcome>) => void;

/** `berth audit verify`, `head` and `show`. @param audit the command that they are put below */
export function addAuditCommands(audit: Command, onDatabase: OnDatabase): void {
  const verify = audit
    .command('verify')
    .description('check that nothing in the chain was changed, removed, inserted or moved')
    .option('--from <seq>', 'from this entry on; the one before it is taken on trust')
    .option('--anchor <seq:hash>', 'what `berth audit head` printed at some time: the chain has to have it')
    .option('--json', 'the report as JSON', false)
    .addHelpText('after', VERIFY_HELP);
  onDatabase(verify, auditVerifyCommand);
  onDatabase(
    audit.command('head').description('number and hash of the last entry, to keep elsewhere'),
    auditHeadCommand,
  );
  const show = audit
    .command('show')
    .description('what happened to a device or a server; the newest entries')
    .option('--device <id>', 'a device')
    .option('--server <id>', 'a server')
    .option('--limit <count>', `at most so many entries; else ${SHOWN_DEFAULT}`)
    .option('--json', 'the entries as JSON', false);
  onDatabase(show, auditShowCommand);
}

const WHOLE = 0;
const BROKEN = 1;
/** Also of whatever goes wrong. */
export const AUDIT_NOT_KNOWN = 2;

/**
 * `berth audit verify`.
 *
 * @param url of the database, `postgres://…`
 * @throws BerthError `request.invalid`, `database.not_migrated`, `audit.damaged`; what the driver throws when there is no database
 */
export async function auditVerifyCommand(url: string, { from, anchor, json }: VerifyOptions): Promise<CommandOutcome> {
  const first = from === undefined ? null : numberOf('--from', from);
  const kept = anchor === undefined ? null : anchorOf(anchor);
  const report = await onOpenLedger(url, (tx) => verifyAudit(tx, first, kept));
  return {
    text: json ? `${JSON.stringify(report, null, 2)}\n` : auditReportText(report),
    exitCode: report.broken === null ? WHOLE : BROKEN,
  };
}

/** `berth audit head`: what to keep elsewhere. */
export async function auditHeadCommand(url: string): Promise<CommandOutcome> {
  const { head } = await onOpenLedger(url, readAuditEnds);
  return { text: `${head.seq}:${head.hash}\n`, exitCode: WHOLE };
}

/** `berth audit show`: the newest entries about a device or a server, the oldest of them first. */
export async function auditShowCommand(url: string, options: ShowOptions): Promise<CommandOutcome> {
  const { device, server, json } = options;
  const subjects = [
    ...(device === undefined ? [] : [idOf('--device', device)]),
    ...(server === undefined ? [] : [idOf('--server', server)]),
  ];
  const limit = options.limit === undefined ? SHOWN_DEFAULT : numberOf('--limit', options.limit);
  if (limit > SHOWN_MAX) throw new BerthError('request.invalid', `--limit: at most ${SHOWN_MAX}`);
  const text = await onOpenLedger(url, async (tx) => {
    const entries = await newest(tx, subjects, limit);
    if (json)
      return `${JSON.stringify(entries.map((entry) => ({ ...entry, body: JSON.parse(entry.body) as unknown })))}\n`;
    return trailText(entries, subjects[0] ?? null, await readHostNames(tx));
  });
  return { text, exitCode: WHOLE };
}

async function newest(tx: Tx, subjects: readonly string[], limit: number): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  for (let complete = false; !complete && found.length < limit;) {
    const page = await readTrail(tx, {
      subjects,
      after: found.at(-1)?.seq ?? null,
      limit: limit - found.length,
      newestFirst: true,
    });
    found.push(...page.entries);
    complete = page.complete || page.entries.length === 0;
  }
  return found.reverse();
}

const NUMBER = /^[1-9]\d{0,14}$/;
const ANCHOR = /^(0|[1-9]\d{0,14}):([0-9a-f]{64})$/;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function numberOf(option: string, text: string): number {
  if (NUMBER.test(text)) return Number(text);
  throw new BerthError('request.invalid', `${option}: write a whole number from 1 on`);
}

function anchorOf(text: string): AuditAnchor {
  const [, seq, hash] = ANCHOR.exec(text.trim()) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new BerthError('request.invalid', '--anchor: write SEQ:HASH as `berth audit head` prints it');
}

function idOf(option: string, text: string): string {
  if (ID.test(text)) return text.toLowerCase();
  throw new BerthError('request.invalid', `${option}: write an id as 01234567-89ab-cdef-0123-456789abcdef`);
}
