import type { CheckedFinding, CheckReport } from './check.js';

const HOSTS_NAMED_MAX = 20;

const SAID: Readonly<Record<string, string>> = {
  repaired: 'Repaired',
  begun: 'Begun',
  gone: 'No longer so',
  refused: 'NOT repaired',
  by_hand: 'By hand',
};

/** A check's report for people. */
export function checkText(report: CheckReport): string {
  const { findings, left, hosts, more, unanswered, silent } = report;
  return [
    ...findings.flatMap(findingLines),
    ...more.map((code) => `There is more of ${code} than is listed here.`),
    ...(unanswered.length > 0 ? [`Their agents did not tell their journals in time: ${named(unanswered)}.`] : []),
    ...(silent.length > 0 ? [`They are down, and were not asked for their journals: ${named(silent)}.`] : []),
    `${counted(hosts, 'host')}, ${counted(findings.length, 'finding')}, ${left} left`,
    '',
  ].join('\n');
}

function findingLines({ severity, code, problem, repair, outcome, why }: CheckedFinding): string[] {
  const said = outcome === null ? 'Repair' : (SAID[outcome] ?? outcome);
  return [`${severity} ${code}: ${problem}`, `  ${said}: ${why === null ? repair : `${why}.`}`];
}

function named(hosts: readonly string[]): string {
  const rest = hosts.length - HOSTS_NAMED_MAX;
  return `${hosts.slice(0, HOSTS_NAMED_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
