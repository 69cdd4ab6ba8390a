import { cellText, plainText, titleOf, type Cell } from './cells.js';
import { grid } from './grid.js';

export const FORMATS = ['table', 'json', 'yaml', 'value', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

/** A thing as it is shown: its values by their words of the REST face, and what people read instead of some of them. */
export interface Shown {
  readonly values: Readonly<Record<string, Cell>>;
  readonly texts?: Readonly<Record<string, string>>;
}

/** Rows below titles. Machines get the words of the REST face, people titles made of them. */
export async function listText(format: Format, columns: readonly string[], rows: readonly Shown[]): Promise<string> {
  if (format === 'json' || format === 'yaml') {
    return dataText(
      format,
      rows.map(({ values }) => only(columns, values)),
    );
  }
  if (format === 'table') {
    return grid(
      columns.map(titleOf),
      rows.map((row) => columns.map((name) => textOf(row, name))),
    );
  }
  const plain = rows.map(({ values }) => columns.map((name) => plainText(values[name])));
  if (format === 'value') return plain.map((row) => `${row.join(' ')}\n`).join('');
  return csvText([[...columns], ...plain]);
}

/** One thing, its fields below each other. */
export async function showText(format: Format, fields: readonly string[], shown: Shown): Promise<string> {
  const { values } = shown;
  switch (format) {
    case 'json':
    case 'yaml':
      return dataText(format, only(fields, values));
    case 'table':
      return grid(
        ['Field', 'Value'],
        fields.map((name) => [name, textOf(shown, name)]),
      );
    case 'value':
      return fields.map((name) => `${plainText(values[name])}\n`).join('');
    case 'csv':
      return csvText([['field', 'value'], ...fields.map((name) => [name, plainText(values[name])])]);
  }
}

export async function dataText(format: 'json' | 'yaml', value: unknown): Promise<string> {
  if (format === 'json') return `${JSON.stringify(value, null, 2)}\n`;
  const { stringify } = await import('yaml');
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

function only(names: readonly string[], values: Shown['values']): Record<string, Cell> {
  return Object.fromEntries(names.map((name) => [name, values[name] ?? null]));
}

function textOf({ values, texts = {} }: Shown, name: string): string {
  return cellText(texts[name] ?? values[name]);
}

/** RFC 4180. */
function csvText(rows: readonly (readonly string[])[]): string {
  const quoted = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => `${row.map(quoted).join(',')}\n`).join('');
}
