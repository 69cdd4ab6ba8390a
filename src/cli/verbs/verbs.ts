import type { Command } from 'commander';
import { type Column, chosen, namesOf, shownBy, sorted } from '../output/columns.js';
import { dataText, type Format, listText, showText } from '../output/formats.js';
import { complain, DONE, FAILED, USAGE } from './failures.js';
import { type GivenList, type GivenOutput, withList, withOutput, withReport } from './options.js';
import { type Noun, openSession, type Session } from './session.js';

const WHERE = '\nWhere Berth is, and who asks, is said as `berth help` tells.';

/** What every verb may have. */
interface Common {
  /** Adds options of its own. */
  readonly options?: (command: Command) => Command;
  /** Below the list of options. */
  readonly help?: string;
}

interface ListVerb<G, A extends readonly unknown[], T extends object> extends Common {
  readonly rows: (session: Session, given: G, ...args: A) => Promise<readonly T[]>;
  readonly columns: readonly Column<NoInfer<T>>[];
  /** Further ones with `--long`. */
  readonly long?: readonly Column<NoInfer<T>>[];
}

/** A verb that prints a table of things. */
export function listVerb<G, A extends readonly unknown[], T extends object>(
  noun: Noun,
  syntax: string,
  about: string,
  { rows, columns, long = [], ...common }: ListVerb<G, A, T>,
): void {
  const all = [...columns, ...long];
  const [usual, names] = [namesOf(columns), namesOf(all)];
  const command = added(noun, syntax, about, common);
  withList(command, names, long.length > 0).action((...words: unknown[]) =>
    perform(async () => {
      const { args, given } = partsOf<G & GivenList, A>(words);
      const shown = chosen(given.column, names, given.long ? names : usual);
      const order = given.sortColumn === undefined ? null : (chosen([given.sortColumn], names, [])[0] ?? null);
      const session = await openSession(command, noun.env, order === null ? given.limit : undefined);
      const found = (await rows(session, given, ...args)).map((row) => shownBy(all, row));
      const lines = order === null ? found : sorted(found, order, given.sortDescending);
      process.stdout.write(await listText(given.format, shown, lines.slice(0, given.limit)));
      return DONE;
    }),
  );
}

interface ShowVerb<G, A extends readonly unknown[], T extends object> extends Common {
  readonly one: (session: Session, given: G, ...args: A) => Promise<T>;
  readonly fields: readonly Column<NoInfer<T>>[];
  /** What the command ends with when it was not refused; may say on standard error why it is not 0. */
  readonly codeOf?: (session: Session, given: G, shown: NoInfer<T>) => Promise<number>;
}

/** A verb that prints one thing, field by field: `show`, but also what was made or changed. */
export function showVerb<G, A extends readonly unknown[], T extends object>(
  noun: Noun,
  syntax: string,
  about: string,
  { one, fields, codeOf, ...common }: ShowVerb<G, A, T>,
): void {
  const names = namesOf(fields);
  const command = added(noun, syntax, about, common);
  withOutput(command, names).action((...words: unknown[]) =>
    perform(async () => {
      const { args, given } = partsOf<G & GivenOutput, A>(words);
      const shown = chosen(given.column, names, names);
      const session = await openSession(command, noun.env);
      const found = await one(session, given, ...args);
      process.stdout.write(await showText(given.format, shown, shownBy(fields, found)));
      return codeOf ? codeOf(session, given, found) : DONE;
    }),
  );
}

interface ReportVerb<G, A extends readonly unknown[], T> extends Common {
  readonly answer: (session: Session, given: G, ...args: A) => Promise<T>;
  readonly text: (answer: NoInfer<T>) => string;
  /** Whoever asks a question has 1 for "no"; that there is no answer is 2 then. */
  readonly codeOf?: (answer: NoInfer<T>, given: G) => number;
}

/** A verb that prints a text for people, or the whole answer as JSON or YAML. */
export function reportVerb<G, A extends readonly unknown[], T>(
  noun: Noun,
  syntax: string,
  about: string,
  { answer, text, codeOf, ...common }: ReportVerb<G, A, T>,
): void {
  const command = added(noun, syntax, about, common);
  withReport(command).action((...words: unknown[]) =>
    perform(
      async () => {
        const { args, given } = partsOf<G & { readonly format: 'text' | Format }, A>(words);
        const found = await answer(await openSession(command, noun.env), given, ...args);
        const { format } = given;
        process.stdout.write(format === 'json' || format === 'yaml' ? await dataText(format, found) : text(found));
        return codeOf ? codeOf(found, given) : DONE;
      },
      codeOf ? USAGE : FAILED,
    ),
  );
}

interface ActVerb<G, A extends readonly unknown[]> extends Common {
  readonly act: (session: Session, given: G, ...args: A) => Promise<unknown>;
}

/** A verb that prints nothing when it went well. */
export function actVerb<G, A extends readonly unknown[]>(
  noun: Noun,
  syntax: string,
  about: string,
  { act, ...common }: ActVerb<G, A>,
): void {
  const command = added(noun, syntax, about, common);
  command.action((...words: unknown[]) =>
    perform(async () => {
      const { args, given } = partsOf<G, A>(words);
      await act(await openSession(command, noun.env), given, ...args);
      return DONE;
    }),
  );
}

interface EachVerb<G> extends Common {
  /** `server`, for what is said when some fail. */
  readonly what: string;
  readonly act: (session: Session, given: G, name: string) => Promise<unknown>;
}

/** A verb for several things, one after the other: one that fails keeps no other from its turn. */
export function eachVerb<G>(noun: Noun, syntax: string, about: string, { what, act, ...common }: EachVerb<G>): void {
  const command = added(noun, syntax, about, common);
  command.action((...words: unknown[]) =>
    perform(async () => {
      const { args, given } = partsOf<G, [readonly string[]]>(words);
      const session = await openSession(command, noun.env);
      const [names] = args;
      let failed = 0;
      for (const name of names) {
        try {
          await act(session, given, name);
        } catch (error) {
          complain(error);
          failed++;
        }
      }
      if (failed > 0 && names.length > 1) complain(new Error(`${failed} of ${names.length} failed: ${what}`));
      return failed > 0 ? FAILED : DONE;
    }),
  );
}

/** Words of the syntax before the last one are nouns below this one: `topology show <host>`. */
function added({ command }: Noun, syntax: string, about: string, { options, help }: Common): Command {
  const [first = '', second = ''] = syntax.split(' ');
  const isNested = /^[a-z]/.test(second);
  const parent = isNested ? below(command, first) : command;
  const made = parent.command(isNested ? syntax.slice(first.length + 1) : syntax).description(about);
  made.addHelpText('after', `${help === undefined ? '' : `${help}\n`}${WHERE}`);
  return options ? options(made) : made;
}

/** The command of a noun; it is made when there is none yet. */
export function below(parent: Command, name: string, about = ''): Command {
  const there = parent.commands.find((one) => one.name() === name);
  const found = there ?? parent.command(name);
  return about === '' ? found : found.description(about);
}

function partsOf<G, A extends readonly unknown[]>(words: readonly unknown[]): { readonly args: A; readonly given: G } {
  return { args: words.slice(0, -2) as unknown as A, given: words.at(-2) as G };
}

/** @param failure the exit code when there is no answer */
async function perform(work: () => Promise<number>, failure: number = FAILED): Promise<void> {
  process.stdout.once('error', ({ code }: NodeJS.ErrnoException) => {
    // Whoever reads has seen enough: `berth server list | head`.
    if (code === 'EPIPE') process.exit(DONE);
  });
  try {
    process.exitCode = await work();
  } catch (error) {
    process.exitCode = Math.max(complain(error), failure);
  }
}
