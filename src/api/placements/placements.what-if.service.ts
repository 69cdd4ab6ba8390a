import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { hostContext, offerDevice, overriddenAddresses } from '../../pci/device-spec/device-spec.js';
import { asUnbound } from '../../pci/device.js';
import { findingsIn, protectDevices, withoutProtected } from '../../pci/protection.js';
import { suggestion } from '../../pci/suggest.js';
import type { HostSnapshot, Snapshot } from '../../placement/snapshot.js';
import { type Asked, type Change, changedFork, whatIf } from '../../placement/what-if.js';
import { listScannedHosts, type ScannedHostRow } from '../../store/device-scans.store.js';
import { Ledger } from '../../store/ledger.js';
import { LiveMix } from '../../store/live-mix.js';
import { readHostsReoffered, type Reoffer, SnapshotCache } from '../../store/snapshot.store.js';
import { assertWork, readEntries } from '../device-specs/device-specs.service.js';
import { inTurns } from '../in-turns.js';
import { RequestRules } from '../request-rules.js';
import { type FieldError, invalidFields } from '../request-validation.pipe.js';
import { resolveRequest } from '../servers/resolve-request.js';
import { changeField, readChanges } from './placements.changes.js';
import type { CopiesBody, WhatIfBody, WhatIfView, WhitelistBody } from './placements.dto.js';
import { DryRunPolicy } from './placements.service.js';
import { copiesView } from './placements.views.js';

/** How many copies all requests of one question have together. */
const COPIES_TOGETHER_MAX = 10_000;

/** Decides on a fork of the hosts as they are now. Writes nothing, here or in the ledger. */
@Injectable()
export class WhatIfService {
  private readonly mix = new LiveMix();

  constructor(
    private readonly ledger: Ledger,
    private readonly snapshots: SnapshotCache,
    private readonly scheduling: DryRunPolicy,
    private readonly rules: RequestRules,
  ) {}

  /**
   * @throws BerthError `request.invalid`, `host.unknown`, `server.unknown`, `device.unknown`, `device.invalid_status`,
   *   `device_spec.invalid`, and what {@link resolveRequest} throws; each names its field
   */
  async whatIf(projectId: string, body: WhatIfBody): Promise<WhatIfView> {
    assertCopies(body.requests);
    const changes = readChanges(body.changes ?? []);
    const asked = await this.askedIn(projectId, body.requests);
    await this.snapshots.refresh();
    const hosts = [...this.snapshots.list()];
    const policy = await this.mix.addTo(this.ledger.pool, { hosts, policy: this.scheduling.policy }, 0);
    const snapshot: Snapshot = { hosts, policy };
    const all = [...(body.whitelist ? await this.whitelisted(snapshot, body.whitelist) : []), ...changes];
    const then = inFields(snapshot, all.length - changes.length, () => changedFork(snapshot, all));
    const differences = await inTurns(whatIf(snapshot, then, asked));
    return {
      hosts_before: snapshot.hosts.length,
      hosts_after: then.hosts.length,
      requests: differences.map(({ before, after }, at) => {
        const { request, copies } = asked[at] as Asked;
        const views = { before: copiesView(copies, before), after: copiesView(copies, after) };
        return { name: request.serverName, ...views, gain: after.count - before.count };
      }),
    };
  }

  private async askedIn(projectId: string, bodies: readonly CopiesBody[]): Promise<Asked[]> {
    const asked: Asked[] = [];
    for (const [at, body] of bodies.entries()) {
      const name = body.name ?? `request ${at + 1}`;
      const resolved = resolveRequest(this.ledger.pool, { name, projectId, anyFlavor: true }, body, this.rules).catch(
        (error: unknown) => {
          throw withPrefix(error, `requests[${at}].`);
        },
      );
      asked.push({ request: (await resolved).request, copies: body.copies ?? 1 });
    }
    return asked;
  }

  /** The hosts as another whitelist would have them. */
  private async whitelisted({ hosts }: Snapshot, body: WhitelistBody): Promise<Change[]> {
    try {
      const specs = readEntries(body);
      const ids = hostsNamed(hosts, body.hosts).map(({ id }) => id);
      assertWork(specs.length, await this.scansOf(ids));
      const reoffer: Reoffer = (devices, { readOnly }) => {
        const context = hostContext(devices.map(asUnbound));
        const protections = protectDevices(devices, findingsIn(devices), overriddenAddresses(specs));
        return devices.map(({ protection: _before, ...found }) => {
          const protection = protections.get(found.address);
          const device = { ...found, ...(protection && { protection }) };
          if (readOnly) return { ...device, offer: null, notOffered: 'read_only' };
          return { ...device, ...withoutProtected(offerDevice(specs, asUnbound(found), context), protection) };
        });
      };
      const read = await readHostsReoffered(this.ledger.pool, ids, reoffer);
      return read.map((host) => ({ kind: 'replace_host', host }));
    } catch (error) {
      throw withPrefix(error, 'whitelist.');
    }
  }

  private scansOf(ids: readonly string[]): Promise<ScannedHostRow[]> {
    return listScannedHosts(this.ledger.pool, ids, { after: null, limit: ids.length });
  }
}

function assertCopies(bodies: readonly CopiesBody[]): void {
  const copies = bodies.reduce((sum, body) => sum + (body.copies ?? 1), 0);
  if (copies <= COPIES_TOGETHER_MAX) return;
  throw invalidFields([
    { field: 'requests', problem: `ask for ${copies} copies together; at most ${COPIES_TOGETHER_MAX}` },
  ]);
}

function hostsNamed(hosts: readonly HostSnapshot[], names: readonly string[]): HostSnapshot[] {
  const known = new Map(hosts.flatMap((host) => [[host.id, host] as const, [host.name, host] as const]));
  const errors = names.flatMap((name, at): FieldError[] => {
    return known.has(name) ? [] : [{ field: `hosts[${at}]`, problem: unknownHost(name, hosts) }];
  });
  if (errors.length === 0) return [...new Set(names.map((name) => known.get(name) as HostSnapshot))];
  throw new BerthError('host.unknown', `${errors[0]?.field}: ${errors[0]?.problem}`, { details: { errors } });
}

function unknownHost(name: string, hosts: readonly HostSnapshot[]): string {
  return `there is no host "${name}"${suggestion(name, hosts.map((host) => host.name).slice(0, 1_000))}`;
}

/** Says which change of the body is at fault. @param before changes that are not of the body, and come first */
function inFields<T>({ hosts }: Snapshot, before: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    const field = changeField(Number(error.details['change']) - before, String(error.details['key']));
    const { host } = error.details;
    const problem = error.code === 'host.unknown' ? unknownHost(String(host), hosts) : error.message;
    throw new BerthError(error.code, `${field}: ${problem}`, {
      cause: error,
      details: { errors: [{ field, problem }] },
    });
  }
}

/** The same error about a part of the body. */
export function withPrefix(error: unknown, prefix: string): unknown {
  if (!(error instanceof BerthError)) return error;
  const errors = (error.details['errors'] as FieldError[] | undefined)?.map(({ field, problem }) => {
    return { field: `${prefix}${field}`, problem };
  });
  const message = `${prefix}${error.message}`;
  return new BerthError(error.code, message, {
    cause: error,
    details: { ...error.details, ...(errors && { errors }) },
  });
}
