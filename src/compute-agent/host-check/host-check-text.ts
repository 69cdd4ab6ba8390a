import type { HostCheckReport } from './host-check.js';
import type { HostFinding } from './finding.js';

/** The report for a person at a terminal: what is wrong first, each with what to do. */
export function hostCheckText({ devices, offered, errors, warnings, findings }: HostCheckReport): string {
  return [
    ...findings.flatMap(linesOf),
    `Devices: ${devices}, offered: ${offered}. Errors: ${errors}, warnings: ${warnings}.`,
    '',
  ].join('\n');
}

function linesOf({ level, code, subject, read, why, remedy }: HostFinding): string[] {
  const title = `${level.padEnd(7)}  ${code}${subject === null ? '' : `  ${subject}`}`;
  const lines = [title, `         read: ${read}`];
  // what is as it should be is told in two lines
  if (level === 'ok') return lines.map(printable);
  return [...lines, `         why:  ${why}`, ...(remedy === null ? [] : [`         do:   ${remedy}`]), ''].map(
    printable,
  );
}

/** What is read is data of others: it must not move the cursor or add lines. */
function printable(line: string): string {
  return line.replace(/\p{C}|[\u2028\u2029]/gu, '?');
}
