import { isOfKind } from '../pci/alias/alias-match.js';
import type { AliasSpec } from '../pci/alias/alias.js';
import type { WithheldDevices } from '../pci/withheld.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

/** Devices of the kind that is asked for which the host keeps back. */
export interface Withheld {
  /** The code of a reason that has nothing else to tell of. */
  readonly code: 'device.protected' | 'device.not_offered';
  /** `1 of the kind is needed by the host itself (default_route)`; safe for everybody. */
  readonly texts: readonly string[];
  /** The same with addresses, why, and what to do. */
  readonly named: readonly string[];
  readonly details: readonly Readonly<Record<string, unknown>>[];
}

/** What the host has of the kinds that are asked for, and keeps back; null: nothing. Shares and requests without a kind are told nothing. */
export function withheldFor({ withheld = [] }: HostSnapshot, { specs }: DeviceRequest): Withheld | null {
  const kinds = withheld.filter((kind) => specs.some((spec) => hasKind(spec) && isOfKind(spec, asCandidate(kind))));
  if (kinds.length === 0) return null;
  return {
    code: kinds.some(({ protection }) => protection !== null) ? 'device.protected' : 'device.not_offered',
    texts: kinds.map(safeText),
    named: kinds.map((kind) => `${safeText(kind)}: ${exampleText(kind)}`),
    details: kinds.map(({ vendorId, productId, deviceType, protection, count }) => ({
      ...{ vendor_id: vendorId, product_id: productId, device_type: deviceType, protection, count },
    })),
  };
}

/** All of what a host keeps back that a reason may tell to everybody: hosts with equal texts tell equal reasons. */
export function withheldText({ withheld = [] }: Pick<HostSnapshot, 'withheld'>): string {
  return withheld
    .map(({ vendorId, productId, deviceType, protection, count }) =>
      [vendorId, productId, deviceType, protection, count].join(),
    )
    .join(' ');
}

/** What takes any device of a type is not about a kind: what the host keeps back may be anything. */
function hasKind({ vendorId, resourceClass }: AliasSpec): boolean {
  return vendorId !== null || resourceClass !== null;
}

/** Tags, traits and a resource class come with an offer. */
function asCandidate(kind: WithheldDevices): Parameters<typeof isOfKind>[1] {
  return { ...kind, resourceClass: null };
}

function safeText({ protection, count }: WithheldDevices): string {
  const are = `${count} of the kind ${count === 1 ? 'is' : 'are'}`;
  return protection === null ? `${are} kept back by device_spec` : `${are} needed by the host itself (${protection})`;
}

function exampleText({ examples, count }: WithheldDevices): string {
  const told = examples.map(({ address, why }) => `${address} is ${why}`);
  const more = count - examples.length;
  return `${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
