import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { variablesOf } from './environment-source.js';
import { SETTINGS } from './settings-table.js';
import type { SettingValue } from './setting-kinds.js';

const HEADER = `# Every setting with its default. Copy what you change into a file of your own; see README.md for what counts when.
# config/berth.yaml is compared with the program by a test (\`npx vitest run --project unit -u\` writes it anew).
`;

describe('the settings table', () => {
  it('is what config/berth.yaml says, to the letter', async () => {
    await expect(defaultsAsYaml()).toMatchFileSnapshot('../../config/berth.yaml');
  });

  it('has defaults that its own readers accept', () => {
    for (const { kind, initial } of SETTINGS) expect(kind.read(initial)).toEqual(initial);
  });

  it('has no key and no variable twice', () => {
    const keys = SETTINGS.map(({ key }) => key);
    const variables = SETTINGS.flatMap(variablesOf);
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(variables).size).toBe(variables.length);
  });
});

function defaultsAsYaml(): string {
  const lines = [HEADER];
  let path: string[] = [];
  for (const definition of SETTINGS) {
    const steps = definition.key.split('.');
    const sections = steps.slice(0, -1);
    if (sections[0] !== path[0]) lines.push(...(path.length > 0 ? listsOf(path[0]) : []), '');
    for (const [depth, section] of sections.entries()) {
      if (path[depth] !== section) lines.push(`${'  '.repeat(depth)}${section}:`);
    }
    path = sections;
    const indent = '  '.repeat(sections.length);
    const names = variablesOf(definition);
    lines.push(`${indent}# ${definition.comment}`, `${indent}# environment: ${names.join(' or ')}`);
    lines.push(...valueAsYaml(steps.at(-1) as string, definition.initial).map((line) => `${indent}${line}`));
  }
  lines.push(...listsOf(path[0]));
  return `${lines.join('\n').replaceAll(/\n{3,}/g, '\n\n')}\n`;
}

function valueAsYaml(key: string, value: SettingValue): string[] {
  if (Array.isArray(value) && value.length > 0) return [`${key}:`, ...value.map((item) => `  - ${item}`)];
  return [`${key}: ${stringify(value).trim()}`];
}

/** Lists with readers of their own. */
function listsOf(section: string | undefined): string[] {
  if (section === 'agent')
    return ['  # Which devices are offered; see agent.yaml. Only in files.', '  device_spec: []'];
  return section === 'pci' ? PCI : [];
}

const PCI = [
  '  # What requests may ask for by name; see README.md. Only in files.',
  '  alias: []',
  '  # Tags that entries of device_spec may have beside the known ones.',
  '  # environment: BERTH_PCI_FREE_TAGS',
  '  free_tags: []',
];
