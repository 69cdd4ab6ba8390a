/**
 * JSON texts as one parameter, for `json_array_elements($n::json)`. An array parameter of JSON texts is quoted twice, which costs more
 * than to write them. Elements come back to the letter.
 */
export function jsonList(texts: readonly string[]): string {
  return `[${texts.join(',')}]`;
}

/** UUIDs, numbers or words of ours as the text of an array parameter; the driver would quote each of them. */
export function plainList(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}
