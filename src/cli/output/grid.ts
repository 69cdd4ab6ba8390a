/** A table with borders; a cell may have several lines. */
export function grid(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((text) => text.split('\n')));
  const widths = titles.map((title, at) =>
    Math.max(widthOf(title), ...cells.flatMap((row) => (row[at] ?? []).map(widthOf))),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (row: readonly string[]): string =>
    `|${row.map((text, at) => ` ${padded(text, widths[at] ?? 0)} `).join('|')}|`;
  const lines = cells.flatMap((row) => {
    const height = Math.max(1, ...row.map(({ length }) => length));
    return Array.from({ length: height }, (_, at) => line(row.map((texts) => texts[at] ?? '')));
  });
  return [rule, line(titles), rule, ...lines, ...(lines.length > 0 ? [rule] : []), ''].join('\n');
}

/** In characters, not in bytes; those that are drawn twice as wide are not known here. */
function widthOf(text: string): number {
  return [...text].length;
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(width - widthOf(text));
}
