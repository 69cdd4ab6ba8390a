import { BerthError } from '../src/errors.js';
import { readCases } from './read-cases.js';
import { runCases, type AreaResult } from './run-cases.js';

const DIFFERENCES_SHOWN = 5;

/**
 * `npm run --silent conformance -- DIR...`: answers every case of every `*.jsonl` file in the nova dialect and compares
 * with Nova's answers. Prints `passed/total` for each area, the first differences in full, and at last `N passed, M failed`.
 * Ends with 1 on a difference, with 2 when there is nothing to read.
 */
function main(folders: readonly string[]): number {
  if (folders.length === 0)
    throw new BerthError('request.invalid', 'name a folder with vector files: npm run conformance -- DIR...');
  const results = runCases(readCases(folders));
  const differences = [...results.values()].flatMap((result) => result.differences);
  for (const [area, result] of results) console.log(`${area.padEnd(10)} ${result.passed}/${result.total}`);
  for (const { id, input, expected, answer, quirks } of differences.slice(0, DIFFERENCES_SHOWN)) {
    console.log(`\n${id}${quirks.length > 0 ? ` (${quirks.join(', ')})` : ''}`);
    console.log(`  input    ${JSON.stringify(input)}`);
    console.log(`  expected ${JSON.stringify(expected)}`);
    console.log(`  answer   ${JSON.stringify(answer)}`);
  }
  if (differences.length > DIFFERENCES_SHOWN) {
    const rest = differences.slice(DIFFERENCES_SHOWN);
    console.log(
      `\nand ${rest.length} more: ${rest
        .slice(0, 50)
        .map(({ id }) => id)
        .join(' ')}`,
    );
  }
  const sum = (of: (result: AreaResult) => number): number =>
    [...results.values()].reduce((all, result) => all + of(result), 0);
  console.log(`${sum(({ passed }) => passed)} passed, ${sum(({ total, passed }) => total - passed)} failed`);
  return differences.length > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BerthError)) throw error;
  console.error(`conformance: ${error.message}`);
  process.exitCode = 2;
}
