import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { fromWireDevice } from '../../messages/wire-device.js';
import { COVERAGE_PAIRS_MAX, unreachableEntries } from '../../pci/device-spec/device-spec-coverage.js';
import type { Path } from '../../pci/device-spec/device-spec-fields.js';
import { previewDeviceSpecs, type ScannedDevice } from '../../pci/device-spec/device-spec-preview.js';
import { type DeviceSpec } from '../../pci/device-spec/device-spec.js';
import { parseDeviceSpecs, RESERVED_TAGS } from '../../pci/device-spec/device-spec-reader.js';
import { suggestion } from '../../pci/suggest.js';
import {
  listScannedDevices,
  listScannedHosts,
  type ScannedDeviceRow,
  type ScannedHostRow,
} from '../../store/device-scans.store.js';
import { hostNames } from '../../store/inventory-views.store.js';
import { Ledger } from '../../store/ledger.js';
import { HttpLimits } from '../http-limits.js';
import { type FieldError, invalidFields } from '../request-validation.pipe.js';
import type { HostPreviewView, PreviewBody, PreviewView } from './device-specs.dto.js';
import { findingViews, type HostSums, hostPreviewView, hostSums, Listing, sumOfCoverage } from './preview.views.js';

/** Says what a whitelist would make of the hosts, from their last scans. Reads only. */
@Injectable()
export class DeviceSpecsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly limits: HttpLimits,
  ) {}

  /**
   * @throws BerthError `device_spec.invalid` with every problem of the entries; `host.unknown`; `request.too_large` when
   *   there are too many entries and devices for one answer
   */
  async preview(body: PreviewBody): Promise<PreviewView> {
    const specs = readEntries(body);
    const { hosts, next } = await this.hostsOf(body);
    assertWork(specs.length, hosts);
    const views: HostPreviewView[] = [];
    const sums: HostSums[] = [];
    const listing = new Listing();
    for (const host of hosts) {
      const scan = (await listScannedDevices(this.ledger.pool, host.id)).map(scannedDevice);
      const preview = previewDeviceSpecs(specs, scan, { readOnly: host.read_only });
      views.push(hostPreviewView({ ...host, devices: scan.length }, preview, listing));
      sums.push(hostSums(preview));
      await nextTurn(); // other requests have their turn
    }
    return {
      hosts: views,
      entries: sumOfCoverage(specs.length, sums),
      findings: findingViews(unreachableEntries(specs)),
      next,
    };
  }

  private async hostsOf(body: PreviewBody): Promise<{ hosts: ScannedHostRow[]; next: string | null }> {
    const limit = this.limits.pageSize(body.limit);
    const page = { after: body.marker ?? null, limit: limit + 1 };
    const wanted = body.hosts ?? null;
    const rows = await listScannedHosts(this.ledger.pool, wanted, page);
    const hosts = rows.slice(0, limit);
    const next = rows.length > limit ? (hosts.at(-1)?.name ?? null) : null;
    if (wanted !== null && page.after === null && next === null) await this.assertKnown(wanted, hosts);
    return { hosts, next };
  }

  private async assertKnown(wanted: readonly string[], hosts: readonly ScannedHostRow[]): Promise<void> {
    const known = new Set(hosts.flatMap(({ id, name }) => [id, name]));
    const unknown = wanted.flatMap((host, at) => (known.has(host) ? [] : [{ host, field: `hosts[${at}]` }]));
    if (unknown.length === 0) return;
    const names = await hostNames(this.ledger.pool);
    const errors = unknown.map(({ host, field }) => {
      return { field, problem: `there is no host "${host}"${suggestion(host, names)}` };
    });
    throw refusal('host.unknown', errors);
  }
}

/**
 * The entries of a whitelist that was sent.
 *
 * @throws BerthError `device_spec.invalid` with every problem of the entries
 */
export function readEntries(body: Pick<PreviewBody, 'device_specs' | 'free_tags' | 'compat'>): DeviceSpec[] {
  const reserved = (body.free_tags ?? []).filter((name) => RESERVED_TAGS.has(name));
  if (reserved.length > 0) {
    throw invalidFields(
      reserved.map((name) => ({ field: 'free_tags', problem: `"${name}" has a meaning of its own` })),
    );
  }
  try {
    return parseDeviceSpecs(body.device_specs, fieldOf, {
      freeTags: body.free_tags ?? [],
      dialect: body.compat ?? 'strict',
    });
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== 'device_spec.invalid') throw error;
    throw refusal('device_spec.invalid', (error.details['problems'] as string[]).map(fieldError));
  }
}

/** `device_specs[2].address.bus`; a key of any characters is shown as a plain one. */
function fieldOf(path: Path): string {
  const steps = path.map((step) => {
    return typeof step === 'number' ? `[${step}]` : `.${step.slice(0, 60).replace(/[^\w.-]/g, '?')}`;
  });
  return `device_specs${steps.join('')}`;
}

/** A place has no blanks in it: see {@link fieldOf}. */
function fieldError(problem: string): FieldError {
  const end = problem.indexOf(': ');
  return { field: problem.slice(0, end), problem: problem.slice(end + 2) };
}

const ERRORS_SHOWN_MAX = 200;

function refusal(code: 'device_spec.invalid' | 'host.unknown', errors: readonly FieldError[]): BerthError {
  const [first] = errors;
  const more = errors.length > 1 ? ` and ${errors.length - 1} more` : '';
  const message = `${first?.field}: ${first?.problem}${more}`;
  return new BerthError(code, message, { details: { errors: errors.slice(0, ERRORS_SHOWN_MAX) } });
}

/** @throws BerthError `request.too_large` when there are too many entries and devices for one answer */
export function assertWork(entries: number, hosts: readonly ScannedHostRow[]): void {
  const devices = hosts.reduce((sum, host) => sum + host.devices, 0);
  if (entries * devices <= COVERAGE_PAIRS_MAX) return;
  throw new BerthError(
    'request.too_large',
    `${entries} entries and ${devices} devices are ${entries * devices} pairs; at most ${COVERAGE_PAIRS_MAX} in one answer: lower limit, or name fewer hosts`,
  );
}

function scannedDevice({ facts, server_id, server_name }: ScannedDeviceRow): ScannedDevice {
  const holder = server_id === null || server_name === null ? null : { id: server_id, name: server_name };
  return { device: fromWireDevice(facts), holder };
}
