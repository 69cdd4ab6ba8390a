import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError, messageOf } from '../src/errors.js';
import type { Case } from './case.js';

/**
 * The cases of all `*.jsonl` files of the folders, or of files that are named themselves, in the order of the files' names.
 *
 * @throws BerthError `request.invalid` when a folder cannot be read, has no such file, or a line is no case
 */
export function* readCases(folders: readonly string[]): Generator<Case> {
  for (const folder of folders) {
    for (const file of filesOf(folder)) {
      const lines = readFileSync(file, 'utf8').split('\n');
      for (const [index, line] of lines.entries())
        if (line.trim() !== '') yield parseCase(line, `${file}:${index + 1}`);
    }
  }
}

function filesOf(folder: string): string[] {
  let names: string[];
  try {
    if (statSync(folder).isFile()) return [folder];
    names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  } catch (cause) {
    throw new BerthError('request.invalid', `${folder} cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (names.length === 0) throw new BerthError('request.invalid', `${folder} has no *.jsonl file`);
  return names.sort().map((name) => join(folder, name));
}

function parseCase(line: string, place: string): Case {
  let value: Partial<Case>;
  try {
    value = JSON.parse(line) as Partial<Case>;
  } catch (cause) {
    throw new BerthError('request.invalid', `${place}: not JSON: ${messageOf(cause)}`, { cause });
  }
  const { id, area, input, expected, quirks } = value;
  if (typeof id !== 'string' || typeof area !== 'string' || typeof input !== 'object' || expected === undefined) {
    throw new BerthError('request.invalid', `${place}: a case has id, area, input and expected`);
  }
  return { id, area, input, expected, quirks: quirks ?? [] };
}
