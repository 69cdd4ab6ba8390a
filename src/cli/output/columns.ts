import { BerthError } from '../../errors.js';
import type { Cell } from './cells.js';
import type { Shown } from './formats.js';

/** A word of the answer; or a name, what it is, and what people read instead. */
export type Column<T> =
  (keyof T & string) | { readonly name: string; readonly of?: (row: T) => Cell; readonly text?: (row: T) => string };

export function namesOf<T>(columns: readonly Column<T>[]): string[] {
  return columns.map((column) => (typeof column === 'string' ? column : column.name));
}

export function shownBy<T extends object>(columns: readonly Column<T>[], row: T): Shown {
  const values: Record<string, Cell> = {};
  const texts: Record<string, string> = {};
  for (const column of columns) {
    const { name, of, text } = typeof column === 'string' ? { name: column } : column;
    values[name] = of ? of(row) : (row as Record<string, Cell>)[name];
    if (text) texts[name] = text(row);
  }
  return { values, texts };
}

/**
 * The names that were asked for with `-c`, whatever their case and with spaces for underscores; without any, `usual`.
 *
 * @throws BerthError `request.invalid` that lists the names there are
 */
export function chosen(wanted: readonly string[], all: readonly string[], usual: readonly string[]): readonly string[] {
  if (wanted.length === 0) return usual;
  return wanted.map((text) => {
    const name = all.find((one) => one === plain(text));
    if (name !== undefined) return name;
    throw new BerthError('settings.invalid', `-c: there is no column "${text}"; there are: ${all.join(', ')}`);
  });
}

/** Sorts by a column, numbers by their size; equal rows keep their order. */
export function sorted(rows: readonly Shown[], column: string, descending: boolean): readonly Shown[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compared(a.values[column], b.values[column]));
}

function compared(a: Cell, b: Cell): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [one, other] = [textOf(a), textOf(b)];
  return one < other ? -1 : Number(one > other);
}

function textOf(value: Cell): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function plain(text: string): string {
  return text.trim().toLowerCase().replaceAll(' ', '_');
}
