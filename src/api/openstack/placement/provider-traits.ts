import { Injectable } from '@nestjs/common';
import { BerthError } from '../../../errors.js';
import { changeHost, lockHostForChange } from '../../../store/host-admin.store.js';
import { Ledger } from '../../../store/ledger.js';
import { KnownNames } from './known-names.js';
import type { Provider } from './provider-tree.js';
import { assertGeneration, refuseHardware } from './provider-writes.js';
import { ProviderReader } from './providers.js';
import { NO_TRAITS } from './query.js';

const TRAITS_MAX = 200;
/** What a host has as such, or not: nobody says that. */
const OWN: ReadonlySet<string> = new Set(['COMPUTE_NODE', 'COMPUTE_STATUS_DISABLED']);

/** What an administrator says of hosts. What is said of devices is said in the whitelists of their agents. */
@Injectable()
export class ProviderTraits {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: ProviderReader,
    private readonly names: KnownNames,
  ) {}

  /** @throws BerthError `provider.unknown`, `provider.conflict`, `provider.read_only`, `request.invalid` */
  async set(uuid: string, body: object): Promise<object> {
    const providers = await this.reader.read();
    const provider = providers.get(uuid);
    const traits = traitsOf(body);
    assertGeneration(provider, body);
    await this.names.assertTraits([{ ...NO_TRAITS, required: traits }], providers);
    await this.write(provider, traits);
    const { traits: now, generation } = (await this.reader.read()).get(uuid);
    return { traits: now, resource_provider_generation: generation };
  }

  /** @throws BerthError `provider.unknown`, `provider.conflict`, `provider.read_only` */
  async clear(uuid: string): Promise<void> {
    await this.write((await this.reader.read()).get(uuid), []);
  }

  private async write({ host, parent, generation }: Provider, traits: readonly string[]): Promise<void> {
    if (parent !== null) refuseHardware('Traits of a device cannot be set', '; device_spec names them with `traits`');
    const own = [...new Set(traits.filter((trait) => !OWN.has(trait)))].sort();
    await this.ledger.transaction(async (tx) => {
      const locked = await lockHostForChange(tx, host.id);
      if (locked?.generation !== generation) {
        throw new BerthError(
          'provider.conflict',
          'resource provider generation conflict: the host has just changed; retry',
        );
      }
      await changeHost(tx, locked.id, { traits: own });
    });
  }
}

function traitsOf(body: object): string[] {
  const { traits, resource_provider_generation: _seen, ...stray } = body as Record<string, unknown>;
  const unknown = Object.keys(stray)[0];
  if (unknown !== undefined) throw invalidBody(`Additional properties are not allowed ('${unknown.slice(0, 100)}')`);
  if (!Array.isArray(traits) || traits.length > TRAITS_MAX || traits.some((one) => typeof one !== 'string')) {
    throw invalidBody(`traits: has to be a list of at most ${TRAITS_MAX} names`);
  }
  return traits as string[];
}

function invalidBody(text: string): BerthError {
  return new BerthError('request.invalid', `JSON does not validate: ${text}`);
}
