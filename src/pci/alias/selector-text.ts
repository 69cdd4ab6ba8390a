import { RE2JS } from 're2js';

/** Where in the text, for people: counted from 1, with the line when there are several. */
export function position(text: string, index: number): string {
  const before = text.slice(0, index).split('\n');
  const column = (before.at(-1) ?? '').length + 1;
  return text.includes('\n') ? `(line ${before.length}, character ${column})` : `(character ${column})`;
}

/**
 * The parts of an expression that are joined by `&&` and nothing weaker: all of them have to be true. One part when it is
 * joined otherwise.
 */
export function splitClauses(text: string): string[] {
  const clauses: string[] = [];
  let start = 0;
  for (const { index, token } of topLevelTokens(text)) {
    if (token !== '&&') return [text];
    clauses.push(text.slice(start, index).trim());
    start = index + token.length;
  }
  return [...clauses, text.slice(start).trim()];
}

/** A comment, a text in either quotes, a bracket, or an operator that matters here. */
const TOKEN = /\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[()[\]{}]|&&|\|\||\?/g;

/** `&&`, `||` and `?` outside of brackets, texts and comments. */
function topLevelTokens(text: string): { index: number; token: string }[] {
  const tokens: { index: number; token: string }[] = [];
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if ('([{'.includes(token)) depth++;
    else if (')]}'.includes(token)) depth--;
    else if (depth === 0 && ['&&', '||', '?'].includes(token)) tokens.push({ index, token });
  }
  return tokens;
}

/** Compiled patterns kept; one that was dropped is compiled again. */
const PATTERNS_MAX = 1000;
const patterns = new Map<string, RE2JS>();

/** Whether the regex is found in the text, in time linear in both: CEL's `matches`. @throws RE2JS's error */
export function linearMatch(text: string, pattern: string): boolean {
  return compiledPattern(pattern).matcher(text).find();
}

/** @throws RE2JS's error when it is not a regex */
export function compiledPattern(pattern: string): RE2JS {
  const found = patterns.get(pattern);
  if (found) return found;
  const compiled = RE2JS.compile(pattern);
  if (patterns.size >= PATTERNS_MAX) patterns.clear();
  patterns.set(pattern, compiled);
  return compiled;
}
