import { BerthError } from '../errors.js';

/** A piece of the text of constraints: see `topology-text.ts`. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'mark' | 'end';
  /** Of a quoted one: what is in the quotes. */
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

export const END: Token = { kind: 'end', text: '', from: 0, to: 0 };
const TOKEN = /"(?:[^"\\]|\\.)*"|[,:;]|[^\s",:;]+|"/gs;

/** @throws BerthError `topology.invalid` when a quote is not closed */
export function tokensOf(text: string): Token[] {
  return [...text.matchAll(TOKEN)].map(({ 0: raw, index }) => {
    const place = { from: index, to: index + raw.length };
    if (raw === '"') throw invalid(`the quote at character ${index + 1} is not closed`);
    if (raw.startsWith('"')) return { kind: 'quoted', text: raw.slice(1, -1).replace(/\\(.)/gs, '$1'), ...place };
    return { kind: ',:;'.includes(raw) ? 'mark' : 'word', text: raw, ...place };
  });
}

/** What stands between semicolons. */
export function splitClauses(
  tokens: readonly Token[],
  text: string,
): { readonly tokens: Token[]; readonly text: string }[] {
  const clauses: Token[][] = [[]];
  for (const token of tokens) {
    if (isMark(token, ';')) clauses.push([]);
    else clauses.at(-1)?.push(token);
  }
  return clauses.map((clause) => ({ tokens: clause, text: text.slice(clause[0]?.from, clause.at(-1)?.to) }));
}

export function isMark(token: Token, mark: string): boolean {
  return token.kind === 'mark' && token.text === mark;
}

/** The language's own words are read in any case. */
export function isWord(token: Token, word: string): boolean {
  return token.kind === 'word' && token.text.toLowerCase() === word.toLowerCase();
}

export function isName({ kind, text }: Token): boolean {
  return kind === 'word' || (kind === 'quoted' && text !== '');
}

/** A fault of the text, or of what it says of these requests. */
export function invalid(message: string): BerthError {
  return new BerthError('topology.invalid', `topology: ${message}`);
}
