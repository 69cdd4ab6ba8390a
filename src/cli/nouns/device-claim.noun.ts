import { BerthError } from '../../errors.js';
import type { Schemas } from '../client/rest-client.js';
import { deviceClaimPreviewText, deviceClaimsText } from '../reports/device-claim-text.js';
import { FAILED } from '../verbs/failures.js';
import { type GivenWait, withWait } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';
import { watched } from '../verbs/waiting.js';

type Claim = Schemas['DeviceClaimView'];

interface GivenCreate extends GivenWait {
  readonly withCompanions: boolean;
}

const HELP = `
A claim keeps a device bound to vfio-pci (or the vfio_driver of its whitelist entry), with all that shares its IOMMU group, between servers
and after a reboot. When it is deleted and no server has a device of it, each gets the driver back that it had. Exit code:
  0  asked for; with --wait: it is so; preview: nothing is in the way
  1  with --wait: it is blocked or refused, or is not so in time; preview: something is in the way
  2  there is no answer, or it cannot be claimed`;

/** `berth device claim`. */
export function addDeviceClaim(noun: Noun): void {
  reportVerb(noun, 'claim preview <host> <address>', 'what a claim would take, and what is in the way', {
    help: HELP,
    answer: (session: Session, _given: unknown, host: string, address: string) => preview(session, host, address),
    text: deviceClaimPreviewText,
    codeOf: ({ claimable }) => (claimable ? 0 : FAILED),
  });
  reportVerb(noun, 'claim create <host> <address>', 'keep a device bound, with its whole IOMMU group', {
    options: (command) =>
      withWait(command, 'until the host has done it, or said what is in the way').option(
        '--with-companions',
        'also when other devices are taken along; see preview',
        false,
      ),
    help: HELP,
    answer: create,
    text: (claim) => deviceClaimsText([claim]),
    codeOf: ({ state }, { wait }: GivenCreate) => (wait && state !== 'enabled' ? FAILED : 0),
  });
  reportVerb(noun, 'claim list <host>', 'the claims on devices of a host', {
    answer: (session: Session, _given: unknown, host: string) => list(session, host),
    text: deviceClaimsText,
  });
  reportVerb(noun, 'claim show <host> <claim>', 'one claim, by its id or its address', {
    answer: async (session: Session, _given: unknown, host: string, claim: string) => {
      const path = { host, claim: await idOf(session, host, claim) };
      return session.ask(session.rest.GET('/v1/hosts/{host}/device-claims/{claim}', { params: { path } }));
    },
    text: (claim) => deviceClaimsText([claim]),
  });
  reportVerb(
    noun,
    'claim delete <host> <claim>',
    'give the devices of a claim back; the claim is its id or its address',
    {
      options: (command) => withWait(command, 'until the host has given them back'),
      help: HELP,
      answer: end,
      text: (left) => (left === null ? 'The claim is gone: its devices are given back.\n' : deviceClaimsText([left])),
      codeOf: (left, { wait }: GivenWait) => (wait && left !== null ? FAILED : 0),
    },
  );
}

function preview({ rest, ask }: Session, host: string, address: string): Promise<Schemas['DeviceClaimPreviewView']> {
  const params = { path: { host }, query: { address } };
  return ask(rest.GET('/v1/hosts/{host}/device-claims/preview', { params }));
}

async function list({ rest, ask }: Session, host: string): Promise<readonly Claim[]> {
  return (await ask(rest.GET('/v1/hosts/{host}/device-claims', { params: { path: { host } } }))).device_claims;
}

/** People know the address. */
async function idOf(session: Session, host: string, claimOrAddress: string): Promise<string> {
  if (!claimOrAddress.includes(':')) return claimOrAddress;
  const claims = await list(session, host);
  const found = claims.find(({ devices }) => devices.some(({ address }) => address.endsWith(claimOrAddress)));
  if (found) return found.id;
  throw new BerthError('device_claim.unknown', `no claim on host ${host} has ${claimOrAddress}`);
}

async function create(session: Session, given: GivenCreate, host: string, address: string): Promise<Claim> {
  const { rest, ask } = session;
  const { takes } = await preview(session, host, address);
  const along = takes.filter(({ companion }) => companion).map((device) => device.address);
  // Without them it is asked for all the same: the answer says whether these, or something else, is in the way.
  const body = { address, companions: given.withCompanions ? along : [] };
  const made = await ask(rest.POST('/v1/hosts/{host}/device-claims', { params: { path: { host } }, body }));
  return (await settled(session, made, given, ({ state }) => state !== 'pending')) ?? made;
}

async function end(session: Session, given: GivenWait, host: string, claimOrAddress: string): Promise<Claim | null> {
  const path = { host, claim: await idOf(session, host, claimOrAddress) };
  const ending = await session.ask(session.rest.DELETE('/v1/hosts/{host}/device-claims/{claim}', { params: { path } }));
  return settled(session, ending, given, ({ state }) => state === 'blocked');
}

/** @returns the claim as it is in the end; null: it is gone */
async function settled(
  session: Session,
  claim: Claim,
  { wait, timeout }: GivenWait,
  isSettled: (claim: Claim) => boolean,
): Promise<Claim | null> {
  if (!wait) return claim;
  return watched(
    async () => (await list(session, claim.host)).find(({ id }) => id === claim.id) ?? null,
    (seen) => seen === null || isSettled(seen),
    (seen) => `${claim.address}: ${seen?.state ?? 'gone'}`,
    timeout,
  );
}
