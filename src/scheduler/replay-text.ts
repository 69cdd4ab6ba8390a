import { canonicalJson } from '../pci/canonical-json.js';
import { ENGINE_VERSION } from '../placement/engine-version.js';
import type { DecisionDetail, Difference, Gap, ReplayReport } from './replay.js';

const PATHS_MAX = 20;
const VALUE_MAX = 160;

/** A replay's report for people. */
export function replayText(report: ReplayReport): string {
  const { decisions, equal, different, gaps, engines, details } = report;
  const older = engines.filter((engine) => engine !== ENGINE_VERSION);
  return [
    ...details.map(detailText),
    ...different.map(differenceText),
    ...(different.length < decisions - equal ? ['… and more that differ; these are the first'] : []),
    ...gaps.map(gapText),
    ...older.map((engine) => `Decided by version ${engine} of the engine; this is version ${ENGINE_VERSION}.`),
    `${decisions} decision${decisions === 1 ? '' : 's'}, ${equal} equal, ${decisions - equal} different`,
    '',
  ].join('\n');
}

function gapText({ run, at, problem }: Gap): string {
  return `Gap in run ${run} at ${at.toISOString()}: ${problem}.`;
}

function differenceText(difference: Difference): string {
  const paths = differences(difference.recorded, difference.now);
  const told = paths.length > 0 ? paths.slice(0, PATHS_MAX) : ['in scores or reasons, which the journal does not keep'];
  const more = paths.length > PATHS_MAX ? [`… and ${paths.length - PATHS_MAX} more`] : [];
  return [`Different: ${nameText(difference)}`, ...[...told, ...more].map((line) => `  ${line}`)].join('\n');
}

function detailText(detail: DecisionDetail): string {
  const { equal, decision, hosts } = detail;
  return [
    `${equal ? 'Equal' : 'Different'}: ${nameText(detail)}`,
    JSON.stringify(decision, null, 2),
    ...hosts.map(({ host, reasons }) => `  ${host}: ${reasons.join('; ') || 'fits'}`),
  ].join('\n');
}

function nameText({ run, seq, at, serverId, serverName, attempt }: Difference | DecisionDetail): string {
  return `server ${serverName} (${serverId}), attempt ${attempt}, ${at.toISOString()}, run ${run}, entry ${seq}`;
}

/** `devices.0.address: "0000:83:00.0" → "0000:84:00.0"`, for each place at which two JSON values differ. */
function differences(before: unknown, after: unknown, path = ''): string[] {
  if (canonicalJson(before) === canonicalJson(after)) return [];
  if (!isNested(before) || !isNested(after)) return [`${path || 'all'}: ${shown(before)} → ${shown(after)}`];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => differences(before[key], after[key], path === '' ? key : `${path}.${key}`));
}

function isNested(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text;
}
