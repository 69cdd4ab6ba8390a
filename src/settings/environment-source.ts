import { suggestion } from '../pci/suggest.js';
import { giveFreeTags, giveSetting } from './gathered.js';
import type { Gathered } from './gathered.js';
import { SETTINGS } from './settings-table.js';
import type { SettingDefinition } from './setting-kinds.js';

const FREE_TAGS = 'BERTH_PCI_FREE_TAGS';
/** Of the test runner, and of the commands that ask the REST face (`cli/client`): not settings. */
const NOT_OURS =
  /^BERTH_(?:TEST_.*|URL|AUTH_TYPE|AUTH_URL|USERNAME|PASSWORD|TOKEN|PROJECT_NAME|CACERT|INSECURE|PROFILE)$/;

const VARIABLES: ReadonlyMap<string, SettingDefinition> = new Map(
  SETTINGS.flatMap((definition) => variablesOf(definition).map((name) => [name, definition] as const)),
);

/** `BERTH_<SECTION>_<KEY>`, and the short name where there is one. */
export function variablesOf(definition: SettingDefinition): string[] {
  const long = `BERTH_${definition.key.replaceAll('.', '_').toUpperCase()}`;
  return definition.variable === null || definition.variable === long ? [long] : [definition.variable, long];
}

/** Reads the environment; an empty variable counts as not given, an unknown `BERTH_…` is a problem. */
export function gatherEnvironment(env: NodeJS.ProcessEnv, gathered: Gathered): void {
  const givenBy = new Map<string, string>();
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (text === undefined || text === '') continue;
    const definition = VARIABLES.get(name);
    if (definition) {
      const twin = givenBy.get(definition.key);
      if (twin !== undefined) gathered.problems.push(`${name}: ${twin} says the same setting; keep one of them`);
      givenBy.set(definition.key, name);
      giveSetting(gathered, definition, definition.kind.fromText(text), `environment variable ${name}`);
    } else if (name === FREE_TAGS) {
      giveFreeTags(
        gathered,
        text.split(',').map((tag) => tag.trim()),
        `environment variable ${name}`,
      );
    } else if (name.startsWith('BERTH_') && !NOT_OURS.test(name)) {
      const hint = suggestion(name, [...VARIABLES.keys(), FREE_TAGS]) || '; see config/README.md for the names';
      gathered.problems.push(`environment variable ${name}: unknown${hint}`);
    }
  }
}
