/**
 * Whether a value is as an extra spec asks, in Nova's words for it:
 *
 *   =  (at least)  ==  !=  >=  <=                 numbers
 *   s==  s!=  s<  s<=  s>  s>=                    texts, in the order of their characters
 *   <in> part   <all-in> part part                parts of a text, members of a list
 *   <or> one <or> other                           either of them
 *
 * A requirement without an operator is the value itself. Source: Nova, `nova/scheduler/filters/extra_specs_ops.py`; mended
 * in three places where Nova breaks off or goes wrong: a text that is no number is a no, so is an operator with nothing behind
 * it, and a list is asked for its members (Nova searches its text, where `avx` is also found in `avx2`).
 *
 * @param found what the host or an aggregate says
 */
export function meetsExtraSpec(found: string | readonly string[], requirement: string): boolean {
  if (typeof found === 'string') return textMeets(found, requirement);
  const [operator = '', ...words] = wordsOf(requirement);
  if (operator === '<in>') return words[0] !== undefined && found.includes(words[0]);
  if (operator === '<all-in>') return words.length > 0 && words.every((word) => found.includes(word));
  return found.some((member) => textMeets(member, requirement));
}

function textMeets(found: string, requirement: string): boolean {
  const [operator = '', ...words] = wordsOf(requirement);
  // every second word is another <or>
  if (operator === '<or>') return words.some((word, index) => index % 2 === 0 && word === found);
  if (operator === '<all-in>') return words.length > 0 && words.every((word) => found.includes(word));
  const compare = OPERATORS.get(operator);
  if (!compare) return found === requirement;
  return words[0] !== undefined && compare(found, words[0]);
}

type Compare = (found: string, wanted: string) => boolean;

const OPERATORS: ReadonlyMap<string, Compare> = new Map<string, Compare>([
  ['=', numbers((found, wanted) => found >= wanted)],
  ['==', numbers((found, wanted) => found === wanted)],
  ['!=', numbers((found, wanted) => found !== wanted)],
  ['>=', numbers((found, wanted) => found >= wanted)],
  ['<=', numbers((found, wanted) => found <= wanted)],
  ['<in>', (found, wanted) => found.includes(wanted)],
  ['s==', (found, wanted) => found === wanted],
  ['s!=', (found, wanted) => found !== wanted],
  ['s<', (found, wanted) => found < wanted],
  ['s<=', (found, wanted) => found <= wanted],
  ['s>', (found, wanted) => found > wanted],
  ['s>=', (found, wanted) => found >= wanted],
]);

function numbers(compare: (found: number, wanted: number) => boolean): Compare {
  return (found, wanted) => NUMBER.test(found) && NUMBER.test(wanted) && compare(Number(found), Number(wanted));
}

const NUMBER = /^\s*[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:e[+-]?\d{1,3})?\s*$/i;

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
