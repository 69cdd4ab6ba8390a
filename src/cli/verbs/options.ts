import { InvalidArgumentError, Option, type Command } from 'commander';
import { type Format, FORMATS } from '../output/formats.js';

/** As commander has them, of any verb that prints a table. */
export interface GivenOutput {
  readonly format: Format;
  readonly column: readonly string[];
}

export interface GivenList extends GivenOutput {
  readonly long?: boolean;
  readonly limit?: number;
  readonly sortColumn?: string;
  readonly sortDescending: boolean;
}

export interface GivenWait {
  readonly wait: boolean;
  /** In seconds. */
  readonly timeout: number;
}

/** Of options that every verb of a kind has. */
export const OUTPUT_HEADING = 'Output options:';

export function withOutput(command: Command, columns: readonly string[]): Command {
  return command
    .addOption(formats([...FORMATS], 'table'))
    .addOption(
      new Option('-c, --column <name>', `only this; may be repeated: ${columns.join(', ')}`)
        .argParser(several)
        .default([], 'all')
        .helpGroup(OUTPUT_HEADING),
    );
}

export function withList(command: Command, columns: readonly string[], hasLong: boolean): Command {
  withOutput(command, columns);
  if (hasLong) command.addOption(new Option('--long', 'all columns').helpGroup(OUTPUT_HEADING));
  return command
    .addOption(new Option('--sort-column <name>', 'sorted by it').helpGroup(OUTPUT_HEADING))
    .addOption(new Option('--sort-descending', 'the greatest first').default(false).helpGroup(OUTPUT_HEADING))
    .addOption(
      new Option('--limit <n>', 'at most so many; all when left out').argParser(positive).helpGroup(OUTPUT_HEADING),
    );
}

/** Of a verb that prints a text for people, or the whole answer. */
export function withReport(command: Command): Command {
  return command.addOption(formats(['text', 'json', 'yaml'], 'text'));
}

export function withWait(command: Command, until: string, seconds = 120): Command {
  return command
    .option('--wait', until, false)
    .addOption(new Option('--timeout <seconds>', 'how long to wait').argParser(positive).default(seconds));
}

function formats(names: string[], usual: string): Option {
  return new Option('-f, --format <format>', 'how to print it').choices(names).default(usual).helpGroup(OUTPUT_HEADING);
}

/** An option that may be repeated. */
export function several(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** `KEY=VALUE`, which may be repeated; the last one of a key counts. */
export function pairs(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at > 0) return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
  throw new InvalidArgumentError('has to be KEY=VALUE');
}

export function wholeNumber(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('has to be a whole number');
}

export function decimal(text: string): number {
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('has to be a number');
}

export function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('has to be a whole number from 1 on');
}

export function onOrOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('has to be on or off');
}

export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('is not JSON');
  }
}

/** Without what was not given: an absent field is not the same as null. */
export function filled<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
