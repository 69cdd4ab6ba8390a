import { counted, table } from './preview-text.js';

/** What is read of a claim in the answers of `/v1/hosts/{host}/device-claims`. */
export interface DeviceClaim {
  readonly id: string;
  readonly host: string;
  readonly address: string;
  readonly state: string;
  readonly ends: boolean;
  readonly step: string | null;
  readonly errno: string | null;
  readonly held_by: string | null;
  readonly message: string | null;
  readonly devices: readonly {
    readonly address: string;
    readonly vendor_id: string;
    readonly product_id: string;
    readonly companion: boolean;
    readonly driver: string | null;
    readonly original_driver: string | null;
    readonly server: { readonly name: string } | null;
  }[];
}

/** What is read of `…/device-claims/preview`. */
export interface DeviceClaimPreview {
  readonly host: string;
  readonly address: string;
  readonly claimable: boolean;
  readonly takes: readonly ClaimableDevice[];
  readonly bridges: readonly ClaimableDevice[];
  readonly stays: readonly ClaimableDevice[];
  readonly refusals: readonly {
    readonly code: string;
    readonly address: string | null;
    readonly reason: string;
    readonly remedy: string;
  }[];
}

interface ClaimableDevice {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly class_code: string;
  readonly companion: boolean;
  readonly driver: string | null;
  readonly binds_to: string | null;
  readonly netdevs: readonly string[];
  readonly offered: boolean;
  readonly server: { readonly name: string } | null;
  readonly protection: readonly string[];
}

/** Each claim with its devices, then what is in the way. */
export function deviceClaimsText(claims: readonly DeviceClaim[]): string {
  if (claims.length === 0) return 'No device of this host is claimed.\n';
  const rows = claims.flatMap(({ id, state, ends, devices }) =>
    devices.map((device, at) => [
      ...(at === 0 ? [id, ends && state !== 'releasing' ? `${state}, ends` : state] : ['', '']),
      ...[device.address, `${device.vendor_id}:${device.product_id}`, device.driver ?? 'none'],
      ...[device.original_driver ?? '', device.server?.name ?? '', device.companion ? 'companion' : ''],
    ]),
  );
  const problems = claims.flatMap(({ address, message, step, errno, held_by }) => {
    if (message === null) return [];
    const words = [step, errno, held_by && `held by ${held_by}`].filter((word) => word !== null);
    return [`${address}: ${message}${words.length > 0 ? ` (${words.join(', ')})` : ''}`];
  });
  const text = table(['claim', 'state', 'address', 'device', 'driver', 'gets back', 'server', ''], rows);
  return [...text, ...(problems.length > 0 ? ['', ...problems] : []), ''].join('\n');
}

/** What would be taken and what would not, then what is in the way with its remedies. */
export function deviceClaimPreviewText(preview: DeviceClaimPreview): string {
  const { host, address, claimable, takes, bridges, stays, refusals } = preview;
  const companions = takes.filter(({ companion }) => companion).length;
  const rows = [
    ...takes.map((device) => rowOf(device, device.companion ? 'taken along' : 'taken')),
    ...bridges.map((device) => rowOf(device, 'bridge, left alone')),
    ...stays.map((device) => rowOf(device, 'stays')),
  ];
  return [
    `${host}: a claim on ${address} takes ${counted(companions, 'companion', 'companions')} along`,
    '',
    ...table(
      ['address', '', 'device', 'class', 'driver', 'binds to', 'interfaces', 'offered', 'needed for', 'server'],
      rows,
    ),
    '',
    ...refusals.flatMap((one) => [`${one.address ?? host}: ${one.code}: ${one.reason}`, `  → ${one.remedy}`]),
    ...(claimable ? ['Nothing is in the way.'] : []),
    '',
  ].join('\n');
}

function rowOf(device: ClaimableDevice, what: string): string[] {
  const { address, vendor_id, product_id, class_code, driver, netdevs, offered, protection, server } = device;
  return [
    ...[address, what, `${vendor_id}:${product_id}`, class_code, driver ?? 'none'],
    what.startsWith('taken') ? (device.binds_to ?? 'bound by others') : '',
    ...[netdevs.join(' '), offered ? 'yes' : 'no', protection.join(' '), server?.name ?? ''],
  ];
}
