import 'reflect-metadata';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { binderWorld, order, type BinderWorld } from '../../test/support/binder-world.js';
import { sriovNicHost } from '../../test/support/hosts.js';
import { readSriovTarget, type SriovTarget } from '../pci/sriov/sriov-target.js';
import { readDevice } from './device-reader.js';
import { liveIp } from './ip-program.js';
import { settleVfSettings } from './sriov-settings.js';
import { prepareDevices } from './vfio-binder.js';
import type { PciDevice } from '../pci/device.js';

const PF = '0000:81:00.0';
const VFS = ['0000:81:02.0', '0000:81:02.1', '0000:81:02.2'];
const CLAIM = '11111111-1111-4111-8111-111111111111';

/** Plays `ip`: notes its arguments, keeps what it is told of VFs, one file a word, and shows it as iproute2 6.1 does. */
const PROGRAM = String.raw`#!/bin/sh
here=$(dirname "$0")
case "$*" in *hang*) sleep 60 ;; esac
if [ "$2" = -d ]; then
  [ -e "$here/silent" ] && { echo '[{"vfinfo_list":[{"vf":0},{"vf":1},{"vf":2}]}]'; exit 0; }
  cat "$here/shown" 2>/dev/null || echo '[{"ifname":"x","vfinfo_list":[]}]'
  exit 0
fi
printf '%s\n' "$*" >> "$here/calls"
case "$*" in *"$(cat "$here/refuses" 2>/dev/null || echo nothing-at-all)"*)
  echo 'RTNETLINK answers: Operation not supported' >&2
  exit 2 ;;
esac
`;

let directory: string;
const removals: (() => Promise<void>)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-ip-'));
  await writeFile(join(directory, 'ip'), PROGRAM);
  await chmod(join(directory, 'ip'), 0o755);
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
  for (const remove of removals.splice(0)) await remove();
});

/** An X710 with three VFs. */
async function nic() {
  const w = await binderWorld(sriovNicHost('n', 0), removals);
  const agent = await w.agent();
  await agent.write(`bus/pci/devices/${PF}/sriov_numvfs`, '3');
  return { w, agent, host: { ...agent, ip: liveIp(1_000) } };
}

function pf({ disk }: BinderWorld): PciDevice {
  return readDevice(disk.sysfs, PF).device as PciDevice;
}

function target(vfs: object): SriovTarget {
  return readSriovTarget({ vf_count: 3, vfs }, (_path, text) => expect.unreachable(text)) as SriovTarget;
}

async function calls(): Promise<string[]> {
  const text = await readFile(join(directory, 'calls'), 'utf8').catch(() => '');
  await rm(join(directory, 'calls'), { force: true });
  return text.split('\n').filter((line) => line !== '');
}

function shows(vfs: readonly object[]): Promise<void> {
  return writeFile(join(directory, 'shown'), JSON.stringify([{ ifname: 'x', vfinfo_list: vfs }]));
}

const shown = (vf: number, more: object = {}): object => ({
  ...{ vf, address: '00:00:00:00:00:00', link_type: 'ether', spoofchk: true, trust: false, link_state: 'auto' },
  ...{ rate: { max_tx: 0, min_tx: 0 } },
  ...more,
});

describe('settings of VFs', () => {
  it('are set one by one with fixed arguments', async () => {
    const { w, host } = await nic();
    const [name] = pf(w).netdevs;
    const wanted = target({
      0: {
        ...{ mac: '02:00:00:00:00:01', vlan: 7, qos: 3, spoof_check: false, trust: true, link_state: 'enable' },
        ...{ min_tx_rate: 10, max_tx_rate: 100 },
      },
    });
    const answer = await settleVfSettings(host, pf(w), wanted, new Map());
    expect(answer).toEqual({ wrote: true, problems: [] });
    expect(await calls()).toEqual(
      [
        'trust on',
        'spoofchk off',
        'mac 02:00:00:00:00:01',
        'vlan 7 qos 3',
        'state enable',
        'max_tx_rate 100 min_tx_rate 10',
      ].map((words) => `link set dev ${name} vf 0 ${words}`),
    );
  });

  it('that are so already are left alone', async () => {
    const { w, host } = await nic();
    await shows([
      shown(0, { vlan_list: [{ vlan: 7 }], trust: true }),
      shown(1),
      shown(2, { vlan_list: [{ vlan: 8 }] }),
    ]);
    const wanted = target({ '*': { spoof_check: true }, 0: { vlan: 7, trust: true }, 1: { vlan: 0 }, 2: { vlan: 0 } });
    const answer = await settleVfSettings(host, pf(w), wanted, new Map());
    expect(await calls()).toEqual([`link set dev ${pf(w).netdevs[0]} vf 2 vlan 0`]);
    expect(answer).toEqual({
      wrote: true,
      problems: [{ vf: 2, address: VFS[2], step: 'read_back', message: 'vlan was taken, but is not so' }],
    });
  });

  it('that the interface does not tell are set once', async () => {
    const { w, host } = await nic();
    await writeFile(join(directory, 'silent'), '');
    const taken = new Map<string, string>();
    const wanted = target({ '*': { trust: true } });
    await settleVfSettings(host, pf(w), wanted, taken);
    expect(await calls()).toHaveLength(3);
    expect(await settleVfSettings(host, pf(w), wanted, taken)).toEqual({ wrote: false, problems: [] });
    await settleVfSettings(host, pf(w), target({ '*': { trust: false } }), taken);
    expect(await calls()).toHaveLength(3);
  });

  it('that one VF refuses are told, and the others are set', async () => {
    const { w, host } = await nic();
    await writeFile(join(directory, 'refuses'), 'vf 1 vlan');
    const { problems } = await settleVfSettings(host, pf(w), target({ '*': { vlan: 7, trust: true } }), new Map());
    expect(await calls()).toHaveLength(6);
    expect(problems).toMatchObject([{ vf: 1, address: VFS[1], step: 'vlan' }]);
    expect(problems[0]?.message).toMatch(/^ip link set \S+ vf 1 vlan 7: RTNETLINK answers: Operation not supported$/);
  });

  it('of a VF that a claim has wait for its end', async () => {
    const { w, agent, host } = await nic();
    await shows([shown(0), shown(1), shown(2)]);
    await prepareDevices(agent, order(w, [String(VFS[1])], CLAIM));
    const { problems } = await settleVfSettings(host, pf(w), target({ 1: { vlan: 7 } }), new Map());
    expect(await calls()).toEqual([]);
    expect(problems).toMatchObject([{ vf: 1, step: 'check', message: expect.stringContaining(CLAIM) as string }]);
    expect(await settleVfSettings(host, pf(w), target({ 1: { trust: false } }), new Map())).toEqual({
      ...{ wrote: false, problems: [] },
    });
  });

  it('of a PF without an interface are refused', async () => {
    const { w, host } = await nic();
    const work = settleVfSettings(host, { ...pf(w), netdevs: [] }, target({ 0: { vlan: 7 } }), new Map());
    await expect(work).rejects.toMatchObject({
      step: 'vf_settings',
      message: expect.stringMatching(/no network interface/) as string,
    });
  });
});

describe('the program', () => {
  it('is stopped when its time is over', async () => {
    const begun = Date.now();
    await expect(liveIp(100).setVf('hang0', 0, ['trust', 'on'])).rejects.toThrow(/did not end in time/);
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  it('may be missing', async () => {
    vi.stubEnv('PATH', join(directory, 'nowhere'));
    await expect(liveIp().vfs('ens1f0')).rejects.toThrow(/install iproute2/);
  });

  it.each(['-j', 'a b', '', 'x'.repeat(16), '../x', 'a;b'])('is not given %j as an interface', async (name) => {
    await expect(liveIp().setVf(name, 0, ['trust', 'on'])).rejects.toThrow(/is not the name of an interface/);
    expect(await calls()).toEqual([]);
  });
});

it("this machine's own ip shows an address of an interface that has one", async () => {
  vi.unstubAllEnvs();
  const ip = liveIp();
  const found = await ip.vfs('lo').catch((error: unknown) => error);
  if (found instanceof Error && /install iproute2/.test(found.message)) return;
  expect([...(found as Map<number, unknown>).keys()]).toEqual([]);
  expect(await ip.hasAddresses('lo')).toBe(true);
});
