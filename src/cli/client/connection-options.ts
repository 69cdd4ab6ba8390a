import { type Command, Option } from 'commander';
import type { GivenFiles } from './client-settings.js';
import { CLIENT_FIELDS, CLIENT_KEYS, type ClientKey, type Layer } from './client-fields.js';

/** As commander has them: `osAuthType` of `--os-auth-type`. */
export type GivenConnection = Readonly<Record<string, string | boolean | undefined>>;

const HEADING = 'Connection options:';

/** May stand before and after the noun. */
export function addConnectionOptions(program: Command): void {
  for (const key of CLIENT_KEYS) {
    const { flag, about, variables, argument } = { argument: null, ...CLIENT_FIELDS[key] };
    const words = `${about === '' ? '' : `${about} `}(${variables.join(', ')})`;
    add(program, argument === null ? flag : `${flag} <${argument}>`, words);
  }
  add(program, '--profile <name>', 'of ~/.config/berth/client.yaml (BERTH_PROFILE)');
  add(program, '--os-cloud <name>', 'of clouds.yaml (OS_CLOUD)');
}

/** What flags say, by the words of the settings. */
export function layerOf(given: GivenConnection): Layer & GivenFiles {
  const layer: Record<string, string> = {};
  const take = (key: ClientKey | keyof GivenFiles, flag: string): void => {
    const value = given[attributeOf(flag)];
    if (value !== undefined) layer[key] = String(value);
  };
  for (const key of CLIENT_KEYS) take(key, CLIENT_FIELDS[key].flag);
  take('profile', '--profile');
  take('cloud', '--os-cloud');
  return layer;
}

function add(program: Command, flags: string, about: string): void {
  program.addOption(new Option(flags, about).helpGroup(HEADING));
}

function attributeOf(flag: string): string {
  return new Option(flag).attributeName();
}
