import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import {
  deviceClaimPreviewText,
  deviceClaimsText,
  type DeviceClaim,
  type DeviceClaimPreview,
} from './device-claim-text.js';
import { ask, tell } from './rest-question.js';

const POLL_MS = 1_000;

interface ClaimOptions {
  readonly url: string;
  readonly json: boolean;
}

interface WaitOptions extends ClaimOptions {
  readonly wait: boolean;
  readonly timeout: string;
}

interface CreateOptions extends WaitOptions {
  readonly withCompanions: boolean;
}

const HELP = `
A claim keeps a device bound to vfio-pci (or the vfio_driver of its whitelist entry), with all that shares its IOMMU group, between servers
and after a reboot. When it is deleted and no server has a device of it, each gets the driver back that it had. Exit code:
  0  asked for; with --wait: it is so; preview: nothing is in the way
  1  with --wait: it is blocked or refused, or is not so in time; preview: something is in the way
  2  there is no answer, or it cannot be claimed`;

/** `berth device-claim preview`, `create`, `list`, `show` and `delete`. */
export function addDeviceClaimCommand(program: Command): void {
  const claim = program.command('device-claim').description('passthrough enabled on devices ahead of use');
  claim.addHelpText('after', HELP);
  addReading(claim);
  waiting(claim.command('create <host> <address>').description('keep a device bound, with its whole IOMMU group'))
    .option('--with-companions', 'also when other devices are taken along; see preview', false)
    .action(async (host: string, address: string, given: CreateOptions) => {
      process.exitCode = await tell(
        () => create(host, address, given),
        given.json,
        (made) => deviceClaimsText([made]),
        ({ state }) => (given.wait && state !== 'enabled' ? 1 : 0),
      );
    });
  waiting(
    claim
      .command('delete <host> <claim>')
      .description('give the devices of a claim back; the claim is its id or its address'),
  ).action(async (host: string, claimOrAddress: string, given: WaitOptions) => {
    process.exitCode = await tell(
      () => end(host, claimOrAddress, given),
      given.json,
      (left) => (left === null ? 'The claim is gone: its devices are given back.\n' : deviceClaimsText([left])),
      (left) => (given.wait && left !== null ? 1 : 0),
    );
  });
}

function addReading(claim: Command): void {
  options(
    claim.command('preview <host> <address>').description('what a claim would take, and what is in the way'),
  ).action(async (host: string, address: string, { url, json }: ClaimOptions) => {
    process.exitCode = await tell(
      () => preview(url, host, address),
      json,
      deviceClaimPreviewText,
      ({ claimable }) => (claimable ? 0 : 1),
    );
  });
  options(claim.command('list <host>').description('the claims on devices of a host')).action(
    async (host: string, { url, json }: ClaimOptions) => {
      process.exitCode = await tell(() => list(url, host), json, deviceClaimsText);
    },
  );
  options(claim.command('show <host> <claim>').description('one claim, by its id or its address')).action(
    async (host: string, claimOrAddress: string, { url, json }: ClaimOptions) => {
      process.exitCode = await tell(
        async () => show(url, host, await idOf(url, host, claimOrAddress)),
        json,
        (one) => deviceClaimsText([one]),
      );
    },
  );
}

function options(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--json', 'the answer as JSON', false);
}

function waiting(command: Command): Command {
  return options(command)
    .option('--wait', 'until the host has done it, or said what is in the way', false)
    .option('--timeout <seconds>', 'how long to wait', '120');
}

function pathOf(host: string, more = ''): string {
  return `/v1/hosts/${encodeURIComponent(host)}/device-claims${more}`;
}

function preview(url: string, host: string, address: string): Promise<DeviceClaimPreview> {
  return ask(url, pathOf(host, `/preview?address=${encodeURIComponent(address)}`));
}

async function list(url: string, host: string): Promise<readonly DeviceClaim[]> {
  const { device_claims } = await ask<{ device_claims: DeviceClaim[] }>(url, pathOf(host));
  return device_claims;
}

function show(url: string, host: string, id: string): Promise<DeviceClaim> {
  return ask(url, pathOf(host, `/${encodeURIComponent(id)}`));
}

/** People know the address. */
async function idOf(url: string, host: string, claimOrAddress: string): Promise<string> {
  if (!claimOrAddress.includes(':')) return claimOrAddress;
  const claims = await list(url, host);
  const found = claims.find(({ devices }) => devices.some(({ address }) => address.endsWith(claimOrAddress)));
  if (found) return found.id;
  throw new BerthError('device_claim.unknown', `no claim on host ${host} has ${claimOrAddress}`);
}

async function create(host: string, address: string, given: CreateOptions): Promise<DeviceClaim> {
  const { takes } = await preview(given.url, host, address);
  const along = takes.filter(({ companion }) => companion).map((device) => device.address);
  // Without them it is asked for all the same: the answer says whether these, or something else, is in the way.
  const companions = given.withCompanions ? along : [];
  const made = await ask<DeviceClaim>(given.url, pathOf(host), { address, companions });
  const isSettled = ({ state }: DeviceClaim): boolean => state !== 'pending';
  return (await watched(made, given, isSettled)) ?? made;
}

async function end(host: string, claimOrAddress: string, given: WaitOptions): Promise<DeviceClaim | null> {
  const id = await idOf(given.url, host, claimOrAddress);
  const ending = await ask<DeviceClaim>(given.url, pathOf(host, `/${encodeURIComponent(id)}`), undefined, 'DELETE');
  return watched(ending, given, ({ state }) => state === 'blocked');
}

/** @returns the claim as it is in the end; null: it is gone */
async function watched(
  claim: DeviceClaim,
  { url, wait, timeout }: WaitOptions,
  isSettled: (claim: DeviceClaim) => boolean,
): Promise<DeviceClaim | null> {
  const deadline = Date.now() + Number(timeout) * 1000;
  for (let now = claim; ;) {
    if (!wait || isSettled(now) || !(Date.now() < deadline)) return now;
    await sleep(POLL_MS);
    const next = (await list(url, claim.host)).find(({ id }) => id === claim.id);
    if (!next) return null;
    now = next;
  }
}
