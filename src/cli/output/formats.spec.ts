import { describe, expect, it } from 'vitest';
import { chosen, type Column, namesOf, shownBy, sorted } from './columns.js';
import { listText, showText } from './formats.js';

interface Row {
  readonly id: number;
  readonly name: string | null;
  readonly ram_mb: number;
  readonly parts: readonly { readonly at: string }[];
  readonly tags: Readonly<Record<string, string>>;
}

const ROWS: readonly Row[] = [
  { id: 2, name: 'a "b", c', ram_mb: 10, parts: [{ at: 'x' }, { at: 'y' }], tags: { rack: 'r1', row: '22' } },
  { id: 1, name: null, ram_mb: 9, parts: [], tags: {} },
];
const COLUMNS: readonly Column<Row>[] = [
  'id',
  'name',
  'ram_mb',
  { name: 'first', of: ({ parts }) => parts[0]?.at ?? null },
];
const shown = (columns: readonly Column<Row>[]) => ROWS.map((row) => shownBy(columns, row));

describe('lists', () => {
  it('have borders for people', async () => {
    expect(await listText('table', namesOf(COLUMNS), shown(COLUMNS))).toBe(
      [
        '+----+----------+--------+-------+',
        '| ID | Name     | RAM MB | First |',
        '+----+----------+--------+-------+',
        '| 2  | a "b", c | 10     | x     |',
        '| 1  |          | 9      |       |',
        '+----+----------+--------+-------+',
        '',
      ].join('\n'),
    );
    expect(await listText('table', ['id'], [])).toBe('+----+\n| ID |\n+----+\n');
  });

  it('have the words of the REST face for programs', async () => {
    const names = ['name', 'ram_mb', 'first'];
    const rows = shown(COLUMNS);
    expect(JSON.parse(await listText('json', names, rows))).toEqual([
      { name: 'a "b", c', ram_mb: 10, first: 'x' },
      { name: null, ram_mb: 9, first: null },
    ]);
    expect(await listText('yaml', names, rows)).toBe(
      '- name: a "b", c\n  ram_mb: 10\n  first: x\n- name: null\n  ram_mb: 9\n  first: null\n',
    );
    expect(await listText('csv', names, rows)).toBe('name,ram_mb,first\n"a ""b"", c",10,x\n,9,\n');
    expect(await listText('value', ['ram_mb', 'id'], rows)).toBe('10 2\n9 1\n');
  });

  it('are sorted by size, or by text', () => {
    const ids = (column: string, descending: boolean): unknown[] =>
      sorted(shown(COLUMNS), column, descending).map(({ values }) => values['id']);
    expect([ids('ram_mb', false), ids('ram_mb', true), ids('name', true)]).toEqual([
      [1, 2],
      [2, 1],
      [2, 1],
    ]);
  });
});

describe('one thing', () => {
  const fields: readonly Column<Row>[] = [
    'tags',
    { name: 'parts', text: ({ parts }) => parts.map(({ at }) => `at ${at}`).join('\n') },
  ];
  const one = shownBy(fields, ROWS[0]!);

  it('has a line for each field, and more where a value has', async () => {
    expect(await showText('table', ['tags', 'parts'], one)).toBe(
      [
        '+-------+---------------------+',
        '| Field | Value               |',
        '+-------+---------------------+',
        "| tags  | rack='r1', row='22' |",
        '| parts | at x                |',
        '|       | at y                |',
        '+-------+---------------------+',
        '',
      ].join('\n'),
    );
  });

  it('is whole for programs, whatever people read', async () => {
    expect(JSON.parse(await showText('json', ['parts', 'tags'], one))).toEqual({
      parts: [{ at: 'x' }, { at: 'y' }],
      tags: { rack: 'r1', row: '22' },
    });
    expect(await showText('value', ['parts'], one)).toBe('[{"at":"x"},{"at":"y"}]\n');
  });

  it('cannot write to the terminal what it likes', async () => {
    const evil = { values: { name: 'a\u001b[2Jb\r\u009bc\nd' } };
    expect(await showText('table', ['name'], evil)).toMatch(/\| name {2}\| a�\[2Jb��c \|\n\| {7}\| d {9}\|/);
    expect(await showText('value', ['name'], evil)).toBe('a�[2Jb��c d\n');
    expect(await showText('csv', ['name'], evil)).not.toMatch(/[\u001b\u009b]/);
  });
});

describe('columns that were asked for', () => {
  it('are found whatever their case, in the order of the question', () => {
    expect(chosen(['RAM MB', 'Id'], ['id', 'ram_mb'], ['id'])).toEqual(['ram_mb', 'id']);
    expect(chosen([], ['id', 'ram_mb'], ['id'])).toEqual(['id']);
  });

  it('are told when there is no such', () => {
    expect(() => chosen(['ram'], ['id', 'ram_mb'], [])).toThrow('-c: there is no column "ram"; there are: id, ram_mb');
  });
});
