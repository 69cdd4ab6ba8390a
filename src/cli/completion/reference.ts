import type { Option } from 'commander';
import { OUTPUT_HEADING } from '../verbs/options.js';
import { argText, type Node, nodesOf } from './command-tree.js';

const HEAD = `# Commands

Made by \`berth complete reference\`; \`npm run openapi\` writes this file. \`berth COMMAND --help\` says the same, with more words.

Nouns and verbs are those of the openstack client: \`berth server list\`. A noun of two words may have a hyphen: \`berth server-group list\`. Where a name is asked
for, an id will do, and the other way round; a name that several things have is refused, with their ids.

**Output.** Lists and things are tables; \`-f json\`, \`yaml\`, \`value\` and \`csv\` are for programs and have the words of the REST face. \`-c\` chooses columns, whatever their case.
Lists have \`--long\` for all columns, \`--sort-column\`, \`--sort-descending\`, and \`--limit\`: without it they are read to their end, page after page. Some commands print a text for people instead; with \`-f json\` they print the whole answer of the REST face.

**Exit codes.** 0; 1: refused or failed (on standard error: what, and each field that is wrong); 2: written wrongly. Commands that answer a question have codes of their own; their help tells.

**Where Berth is, and who asks.** Options come before variables (\`BERTH_*\` before \`OS_*\`), these before the cloud of \`clouds.yaml\` that \`OS_CLOUD\` names, and that before a profile:

\`\`\`yaml
# ~/.config/berth/client.yaml, mode 0600
profile: lab                      # unless --profile or BERTH_PROFILE says another
profiles:
  lab: { url: "https://berth.example:8790", auth_type: http_basic, username: ann, password: "…", cacert: /etc/ssl/lab.pem }
  site: { auth_type: password, auth_url: "https://keystone.example:5000/v3", username: ann, password: "…", project_name: red }
\`\`\`

\`auth_type\` is \`none\`, \`http_basic\`, \`token\`, or \`password\`: then a token is asked of the identity service (Keystone, or Berth's own \`/identity/v3\`), used for this one command, and kept nowhere.
Without a URL, the endpoint of the service type \`berth\` in the catalog of that token is taken. \`clouds.yaml\` is looked for at \`OS_CLIENT_CONFIG_FILE\`, here, in \`~/.config/openstack\` and in \`/etc/openstack\`;
\`berth_endpoint_override\` in it says where Berth is.

**Completion.** \`source <(berth complete bash)\`, the same for zsh; \`berth complete fish | source\`.
`;

/** All commands, their arguments and options, as Markdown. */
export function referenceText(program: Node): string {
  const connection = program.options.filter(({ long }) => long !== '--version');
  return [
    HEAD,
    '## Connection options\n',
    'Of every command that asks the REST face; before or after the noun.\n',
    ...connection.map(optionLine),
    ...program.children.map((noun) => `\n${sectionOf(noun)}`),
    '',
  ].join('\n');
}

function sectionOf(noun: Node): string {
  const commands = nodesOf(noun).filter(({ hasAction }) => hasAction);
  return [`## ${noun.path.join(' ')}\n`, `${noun.about}\n`, ...commands.map(commandText)].join('\n');
}

function commandText({ path, args, about, options }: Node): string {
  const line = ['berth', ...path, ...args.map(argText)].join(' ');
  const own = options.filter(({ helpGroupHeading }) => helpGroupHeading !== OUTPUT_HEADING);
  const columns = options.find(({ long }) => long === '--column')?.description.replace(/^.*: /, '');
  return [
    `- \`${line}\`: ${about}`,
    ...own.map((option) => `  ${optionLine(option)}`),
    ...(columns === undefined ? [] : [`  - columns: ${columns}`]),
  ].join('\n');
}

function optionLine({
  flags,
  description,
  mandatory,
  defaultValue,
  defaultValueDescription,
  argChoices,
}: Option): string {
  const usual = defaultValueDescription ?? (isWorthTelling(defaultValue) ? String(defaultValue) : null);
  const notes = [
    ...(argChoices ? [argChoices.join(' | ')] : []),
    ...(mandatory ? ['needed'] : []),
    ...(usual === null ? [] : [`else ${usual}`]),
  ];
  return `- \`${flags}\` ${description}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

function isWorthTelling(value: unknown): boolean {
  return value !== undefined && value !== false && value !== true && !(Array.isArray(value) && value.length === 0);
}
