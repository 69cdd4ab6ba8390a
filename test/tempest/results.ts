/** How Tempest's tests ended, by their names without the ids in brackets. */
export interface Results {
  readonly passed: readonly string[];
  readonly skipped: readonly string[];
  readonly failed: readonly string[];
}

/** `{1} tempest.api.compute.test_versions.TestVersions.test_x[id-…] [0.3s] ... ok` */
const LINE = /^\{\d+\} (\S.*?)(?:\[[^\]]*\])?(?: \[[\d.]+s\])? \.\.\. (ok|FAILED|SKIPPED)/;

/** @param output of `stestr run` */
export function readResults(output: string): Results {
  const of = { ok: [] as string[], SKIPPED: [] as string[], FAILED: [] as string[] };
  for (const line of output.split('\n')) {
    const [, name, end] = LINE.exec(line) ?? [];
    if (name !== undefined) of[end as keyof typeof of].push(name);
  }
  return { passed: of.ok, skipped: of.SKIPPED, failed: of.FAILED };
}

/**
 * Reads a list of failures that are known: `name — reason` on each line; what begins with # is for people.
 *
 * @throws Error for a line without a reason, and for a name that comes twice
 */
export function readExpected(text: string): ReadonlyMap<string, string> {
  const expected = new Map<string, string>();
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [name = '', reason = ''] = line.split(' — ', 2);
    if (reason === '' || expected.has(name)) throw new Error(`expected-failures.txt: ${line}: no reason, or twice`);
    expected.set(name, reason);
  }
  return expected;
}

/** What was to be said of a run. */
export interface Judgement {
  /** Failed, and nobody knows why. */
  readonly unexpected: readonly string[];
  /** Listed as failing, and passed: the line can go. */
  readonly mended: readonly string[];
}

export function judge({ passed, failed }: Results, expected: ReadonlyMap<string, string>): Judgement {
  return {
    unexpected: failed.filter((name) => !expected.has(name)),
    mended: passed.filter((name) => expected.has(name)),
  };
}
