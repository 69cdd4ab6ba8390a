/** One `key = value` of a file in the form of oslo.config. */
export interface OsloOption {
  /** As written, without brackets; `DEFAULT` before any section. */
  readonly section: string;
  readonly key: string;
  /** Continuation lines are joined by line feeds, each without its indentation. */
  readonly value: string;
  /** Of the key, from 1 on; line n of the value is at `line + n`. */
  readonly line: number;
}

export interface OsloProblem {
  readonly line: number;
  readonly text: string;
}

type Place = { section: string; open: { -readonly [Key in keyof OsloOption]: OsloOption[Key] } | null };

/**
 * Reads a file as oslo.config does (nova.conf, zun.conf): sections, `key = value` or `key: value`, repeated options,
 * indented continuation lines, comments only at the start of a line. `$` and `#` in a value stay as they are.
 *
 * Beyond oslo.config, the bracket that closes a JSON value may stand at the start of its line, as the samples in Nova's and
 * Zun's documents have it.
 */
export function parseOsloConfig(text: string): { readonly options: OsloOption[]; readonly problems: OsloProblem[] } {
  const options: OsloOption[] = [];
  const problems: OsloProblem[] = [];
  const place: Place = { section: 'DEFAULT', open: null };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trimEnd();
    const problem = readLine(line, index + 1, place, options);
    if (problem !== null) problems.push({ line: index + 1, text: problem });
  }
  return { options: options.map(unquoted), problems };
}

function readLine(line: string, number: number, place: Place, options: OsloOption[]): string | null {
  if (line === '') {
    place.open = null;
    return null;
  }
  if (line.startsWith(' ') || line.startsWith('\t')) {
    if (!place.open) return 'an indented line that continues nothing; remove the blanks before it';
    place.open.value += `\n${line.trimStart()}`;
    return null;
  }
  if (/^[}\]]/.test(line) && /^\s*[{[]/.test(place.open?.value ?? '')) {
    (place.open as OsloOption & { value: string }).value += `\n${line}`;
    return null;
  }
  place.open = null;
  if (line.startsWith('#') || line.startsWith(';')) return null;
  if (line.startsWith('[')) {
    if (!line.endsWith(']') || line.length < 3) return 'a section has to look like [pci]';
    place.section = line.slice(1, -1);
    return null;
  }
  return readAssignment(line, number, place, options);
}

function readAssignment(line: string, number: number, place: Place, options: OsloOption[]): string | null {
  const sign = line.search(/[=:]/);
  if (sign < 0) return 'neither a section nor "key = value"; write "#" before a comment';
  const key = line.slice(0, sign).trim();
  if (key === '') return `there is no key before "${line[sign]}"`;
  place.open = { section: place.section, key, value: line.slice(sign + 1).trim(), line: number };
  options.push(place.open);
  return null;
}

/** A value that is a quoted text as a whole loses its quotes, when it is on one line. */
function unquoted(option: OsloOption): OsloOption {
  const { value } = option;
  const quoted = value.length >= 2 && /^["']/.test(value) && value.at(-1) === value[0] && !value.includes('\n');
  return quoted ? { ...option, value: value.slice(1, -1) } : option;
}
