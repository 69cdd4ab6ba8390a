import { join } from 'node:path';
import type { SetDeviceClaims, WireClaimedDevice, WireDeviceClaim } from '../messages/device-claim-bodies.js';
import { normalizeAddress } from '../pci/address.js';
import { isObject } from '../pci/device-spec/device-spec-fields.js';
import type { AgentLog } from './agent-log.js';
import { readDurable, writeDurably } from './durable-file.js';

const FILE = 'device-claims.json';

interface Kept {
  readonly revision: number;
  readonly claims: readonly WireDeviceClaim[];
}

/** The device claims that the ledger has for this host, on disk: after a reboot they are made true before the centre is heard. */
export class DeviceClaimOrders {
  private constructor(
    private readonly stateDir: string,
    private kept: Kept,
  ) {}

  /** A file that cannot be read is set aside: the centre says it again. @throws the system's error */
  static async open(stateDir: string, log: AgentLog): Promise<DeviceClaimOrders> {
    const warning = 'The device claims that the centre ordered are not usable and are set aside';
    const absent: Kept = { revision: 0, claims: [] };
    return new DeviceClaimOrders(
      stateDir,
      await readDurable(join(stateDir, FILE), { read: keptIn, absent, warning }, log),
    );
  }

  all(): readonly WireDeviceClaim[] {
    return this.kept.claims;
  }

  /** Whether the centre was ever heard: what it has not ordered ends only then. */
  get areKnown(): boolean {
    return this.kept.revision > 0;
  }

  /** Keeps the latest word. @returns whether it is news */
  async take({ revision, claims }: SetDeviceClaims): Promise<boolean> {
    if (revision <= this.kept.revision) return false;
    const next = { revision, claims };
    await writeDurably(this.stateDir, FILE, { version: 1, ...next });
    this.kept = next;
    return true;
  }
}

function keptIn(value: unknown): Kept {
  const { version, revision, claims } = isObject(value) ? value : {};
  if (version !== 1 || !Number.isSafeInteger(revision) || !Array.isArray(claims)) throw damaged();
  return { revision: revision as number, claims: claims.map(claimIn) };
}

/** Addresses become paths. */
function claimIn(value: unknown): WireDeviceClaim {
  const { claim_id, address, devices, ends } = isObject(value) ? value : {};
  if (typeof claim_id !== 'string' || typeof address !== 'string' || !Array.isArray(devices)) throw damaged();
  return {
    ...{ claim_id, address: normalizeAddress(address), devices: devices.map(deviceIn) },
    ...(ends === true && { ends }),
  };
}

function deviceIn(value: unknown): WireClaimedDevice {
  const { address, vendor_id, product_id } = isObject(value) ? value : {};
  if (typeof address !== 'string' || typeof vendor_id !== 'string' || typeof product_id !== 'string') throw damaged();
  return { address: normalizeAddress(address), vendor_id, product_id };
}

function damaged(): Error {
  return new Error('it is damaged');
}
