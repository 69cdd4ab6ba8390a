import type { AliasDefinition } from '../src/pci/alias/alias.js';
import { novaError } from '../src/pci/dialect.js';
import { novaNumaPolicy, novaSpecOf, parseNovaAliases, parseNovaAliasRequest } from '../src/pci/nova/nova-alias.js';
import { answerOrError, isErrorAnswer } from './errors.js';

interface AliasInput {
  readonly aliases: readonly string[];
  readonly extra_specs: Readonly<Record<string, string>>;
  readonly image_properties: Readonly<Record<string, string>>;
}

/** What aliases mean, and what a flavor asks for with them. */
export function answerAlias(input: AliasInput): unknown {
  const aliases = answerOrError(() => parseNovaAliases(input.aliases.map(parseLine)));
  return {
    aliases: isErrorAnswer(aliases)
      ? aliases
      : Object.fromEntries(aliases.map((alias) => [alias.name, meaning(alias)])),
    requests: requestsOf(input),
  };
}

function requestsOf({ aliases: lines, extra_specs: flavor, image_properties: image }: AliasInput): unknown {
  const ofImage = image['hw_pci_numa_affinity_policy'] ?? null;
  const imagePolicy = answerOrError(() => novaNumaPolicy(null, ofImage), 'image');
  if (isErrorAnswer(imagePolicy)) return imagePolicy;
  const policy = answerOrError(() => novaNumaPolicy(flavor['hw:pci_numa_affinity_policy'] ?? null, ofImage), 'policy');
  if (isErrorAnswer(policy)) return policy;
  const text = flavor['pci_passthrough:alias'];
  if (text === undefined) return [];
  return answerOrError(() => {
    const aliases = new Map(parseNovaAliases(lines.map(parseLine)).map((alias) => [alias.name, alias]));
    return parseNovaAliasRequest(text, (name) => aliases.has(name)).map(({ alias: name, count }) => {
      const alias = aliases.get(name) as AliasDefinition;
      return { count, alias_name: name, spec: alias.specs.map(novaSpecOf), numa_policy: policy ?? alias.numaPolicy };
    });
  }, 'requests');
}

function meaning({ numaPolicy, specs }: AliasDefinition): unknown {
  return { numa_policy: numaPolicy, specs: specs.map(novaSpecOf) };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw novaError('alias.invalid', 'PciInvalidAlias', 'the alias is not JSON');
  }
}
