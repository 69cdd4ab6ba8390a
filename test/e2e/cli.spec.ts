import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';
import { PROGRAM } from '../support/berth-process.js';
import { berth } from '../support/cli.js';
import { type Fleet, startFleet } from '../support/fleet.js';
import { charmsGuideHost } from '../support/hosts.js';

const CONF = `[pci]
device_spec = {"vendor_id": "10de", "product_id": "1bb0"}
alias = {"vendor_id": "10de", "product_id": "1bb0", "device_type": "type-PCI", "name": "gpu"}
`;

describe('berth, as a person at a terminal has it', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    const config = { 'nova.conf': CONF };
    fleet = await startFleet({
      databaseUrl: inject('databaseUrl'),
      hosts: [{ name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config }],
      apiConfig: config,
    });
  });
  afterAll(() => fleet?.close());

  const run = (...words: string[]) => berth(words, { BERTH_URL: fleet.api.url });
  const json = async (...words: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await run(...words, '-f', 'json');
    expect([code, stderr], words.join(' ')).toEqual([0, '']);
    return JSON.parse(stdout);
  };

  it('takes a flavor and a server through their lives', async () => {
    const property = ['--property', 'pci_passthrough:alias=gpu:2', '--property', 'hw:cpu_policy=shared'];
    const made = await run('flavor', 'create', 'm1.gpu', '--vcpus', '2', '--ram', '512', ...property);
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(made.stdout).toMatch(/^\| Field +\| Value +\|$/m);
    expect(made.stdout).toMatch(
      /^\| extra_specs +\| hw:cpu_policy='shared', pci_passthrough:alias='gpu:2' +\|$|pci_passthrough:alias='gpu:2', hw:cpu_policy='shared'/m,
    );
    expect(await run('flavor', 'unset', 'm1.gpu', '--property', 'hw:cpu_policy')).toMatchObject({
      code: 0,
      stdout: '',
    });
    await run('flavor', 'set', 'm1.gpu', '--property', 'hw:pci_numa_affinity_policy=preferred');
    expect(await json('flavor', 'show', 'm1.gpu', '-c', 'extra_specs')).toEqual({
      extra_specs: { 'pci_passthrough:alias': 'gpu:2', 'hw:pci_numa_affinity_policy': 'preferred' },
    });

    const server = await run('server', 'create', '--flavor', 'm1.gpu', 'gpu-vm', '--wait');
    expect([server.code, server.stderr]).toEqual([0, '']);
    expect(server.stdout).toMatch(/^\| status +\| ACTIVE +\|$/m);
    expect(server.stdout).toMatch(/^\| devices +\| 0000:\S+ gpu vfio-pci group \d+ +\|\n\| +\| 0000:/m);

    expect(await json('server', 'list', '-c', 'NAME', '-c', 'Host', '-c', 'requested devices')).toEqual([
      {
        name: 'gpu-vm',
        host: 'gpu-1',
        requested_devices: [expect.objectContaining({ alias: 'gpu', count: 2 })],
      },
    ]);
    const value = await run('server', 'list', '-f', 'value', '-c', 'name', '-c', 'status');
    expect(value.stdout).toBe('gpu-vm ACTIVE\n');
    const yaml = await run('server', 'show', 'gpu-vm', '-f', 'yaml', '-c', 'name', '-c', 'devices');
    expect(parse(yaml.stdout)).toMatchObject({ name: 'gpu-vm', devices: [{ driver: 'vfio-pci' }, {}] });
    const held = await run('device', 'list', '--host', 'gpu-1', '--server', 'gpu-vm', '-f', 'csv', '-c', 'status');
    expect(held.stdout).toBe('status\nallocated\nallocated\n');
    for (const words of [
      ['explain', 'gpu-vm'],
      ['server', 'explain', 'gpu-vm', '--no-changes'],
    ]) {
      expect(await run(...words)).toMatchObject({ code: 0, stdout: expect.stringMatching(/placed on gpu-1/) });
    }
    expect(await json('server', 'event', 'list', 'gpu-vm', '--limit', '1')).toHaveLength(1);

    expect(await run('server', 'stop', 'gpu-vm', '--wait')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await json('server', 'show', 'gpu-vm', '-c', 'vm_state')).toEqual({ vm_state: 'stopped' });
    const again = await run('server', 'stop', 'gpu-vm');
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/^berth: server\.invalid_status: /)]);
    expect((await run('server', 'start', 'gpu-vm', '--wait')).code).toBe(0);

    expect(await run('server', 'delete', 'gpu-vm', '--wait')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await json('server', 'list')).toEqual([]);
    expect(await json('device', 'list', '--status', 'allocated')).toEqual([]);
    expect((await run('flavor', 'delete', 'm1.gpu')).code).toBe(0);
  });

  it('says why a server got nothing, and ends with 1', async () => {
    const demand = ['--vcpus', '1', '--ram', '64', '--disk', '0', '--devices', 'gpu:64'];
    const { code, stdout, stderr } = await run('server', 'create', 'too-big', ...demand, '--wait');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^\| status +\| ERROR +\|$/m);
    expect(stderr).toMatch(/^berth: too-big is ERROR\n {2}too-big was placed nowhere\. No valid host/);
    expect(stderr).toContain('gpu-1');
    expect(stderr).not.toContain('\u001b'); // no progress where nobody looks
    const dry = await run('placement', 'dry-run', ...demand.slice(0, -1), 'gpu:1', '-f', 'value', '-c', 'host');
    expect(dry).toMatchObject({ code: 0, stdout: 'gpu-1\n' });
    expect((await run('placement', 'dry-run', ...demand)).code).toBe(1);
    await run('server', 'delete', 'too-big');
  });

  it('says on a terminal how it stands while it waits, and ends with 1 when that was too long', async () => {
    const words = ['server', 'create', 'patient', '--vcpus', '1', '--ram', '64', '--devices', 'gpu:64'];
    const line = [process.execPath, PROGRAM, ...words, '--queue', '--wait', '--timeout', '2'].join(' ');
    const env = { PATH: process.env['PATH'] ?? '', BERTH_URL: fleet.api.url };
    const onTerminal = promisify(execFile)('script', ['-qec', line, '/dev/null'], { env });
    const { code, stdout } = (await onTerminal.catch((error: unknown) => error)) as { code: number; stdout: string };
    expect(code).toBe(1);
    expect(stdout).toMatch(/\r\u001b\[2Kpatient: BUILD, \w+ \(\d s\)/);
    expect(stdout).toMatch(/\r\u001b\[2K\+-+\+/); // and the line is gone before the table comes
    expect(stdout).toContain('berth: patient is BUILD');
    await run('server', 'delete', 'patient', '--wait');
  });

  it('finds things by name or id, and tells what it cannot', async () => {
    const demand = ['--vcpus', '1', '--ram', '64'];
    const [first] = [
      await json('server', 'create', 'twin', ...demand),
      await json('server', 'create', 'twin', ...demand),
    ];
    const { id } = first as { id: string };
    const twins = await run('server', 'show', 'twin');
    expect(twins).toMatchObject({ code: 1, stdout: '' });
    expect(twins.stderr).toMatch(/^berth: server.unknown: several servers are named "twin"; say which by id: /);
    expect(twins.stderr).toContain(id);
    expect(await json('server', 'show', id, '-c', 'name')).toEqual({ name: 'twin' });
    const ids = (await json('server', 'list', '--name', 'twin')) as { id: string }[];
    const gone = await run('server', 'delete', ...ids.map((one) => one.id), 'nobody');
    expect(gone.code).toBe(1);
    expect(gone.stderr).toBe(
      'berth: server.unknown: no server is named "nobody"\nberth: 1 of 3 failed: server delete\n',
    );
  });

  it.each<[string, string[], number, RegExp]>([
    ['a field that is wrong', ['flavor', 'create', 'x', '--vcpus', '-4'], 1, /^berth: request\.invalid: vcpus: /],
    ['a flavor that is not there', ['server', 'create', 'x', '--flavor', 'm1.none'], 1, /^berth: .*flavor: /],
    ['a host that is not there', ['host', 'show', 'gpu-2'], 1, /^berth: host\.unknown: .*did you mean "gpu-1"/],
    ['a column', ['host', 'list', '-c', 'nmae'], 2, /there is no column "nmae"; there are: name, status/],
    ['a number', ['server', 'list', '--limit', 'all'], 2, /'all' is invalid.*has to be a whole number from 1 on/],
    ['a verb', ['server', 'destroy', 'x'], 2, /unknown command 'destroy'/],
    ['an option', ['server', 'list', '--hots', 'x'], 2, /unknown option '--hots'/],
    ['a property', ['flavor', 'set', 'm1', '--property', 'x'], 2, /has to be KEY=VALUE/],
    [
      'nothing listens',
      ['pool', 'list', '--url', 'http://127.0.0.1:1'],
      1,
      /^berth: http:\/\/127\.0\.0\.1:1 does not answer/,
    ],
  ])('tells in a line or two what is wrong: %s', async (_what, words, code, told) => {
    const ended = await run(...words);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(told);
    expect(ended.stderr.trim().split('\n').length).toBeLessThan(3);
  });

  it('has a noun for everything else', async () => {
    const more = ['--device-type', 'type-PCI', '--trait', 'CUSTOM_BIG'];
    await run('alias', 'create', 'card', '--vendor-id', '10de', '--product-id', '1bb0', ...more);
    await run('alias', 'set', 'card', '--numa-policy', 'required');
    expect(await json('alias', 'show', 'card')).toMatchObject({
      version: 2,
      numa_policy: 'required',
      specs: [{ vendor_id: '10de', traits: ['CUSTOM_BIG'] }],
    });
    expect(await json('alias', 'version', 'list', 'card', '-c', 'change')).toMatchObject([
      { change: 'changed' },
      { change: 'created' },
    ]);
    expect((await run('alias', 'delete', 'card')).code).toBe(0);
    await run('host', 'set', 'gpu-1', '--disable', '--reason', 'new fans');
    expect(await json('host', 'show', 'gpu-1')).toMatchObject({ enabled: false, disabled_reason: 'new fans' });
    await run('host', 'set', 'gpu-1', '--enable', '--trait', 'CUSTOM_ROW_7');
    expect(await json('host', 'list', '--long')).toMatchObject([{ enabled: true, traits: ['CUSTOM_ROW_7'] }]);
    await run('aggregate', 'create', 'row', '--zone', 'east', '--property', 'power=green');
    await run('aggregate', 'add', 'host', 'row', 'gpu-1');
    expect(await json('availability', 'zone', 'list', '--long')).toMatchObject([{ name: 'east', hosts: ['gpu-1'] }]);
    await run('aggregate', 'set', 'row', '--property', 'floor=2');
    await run('aggregate', 'unset', 'row', '--property', 'power', '--zone');
    await run('aggregate', 'remove', 'host', 'row', 'gpu-1');
    expect(await json('aggregate', 'show', 'row')).toMatchObject({
      metadata: { floor: '2' },
      hosts: [],
      availability_zone: null,
    });
    expect((await run('aggregate', 'delete', 'row')).code).toBe(0);
    await run('server-group', 'create', 'apart', '--policy', 'anti-affinity');
    expect(await json('server', 'group', 'list')).toMatchObject([{ name: 'apart', policy: 'anti-affinity' }]);
    const placed = await json(
      'placement',
      'create',
      'job',
      '--devices',
      'gpu:1',
      '--vcpus',
      '1',
      '--ram',
      '64',
      '--key',
      'job-1',
    );
    expect(placed).toMatchObject({ outcome: 'placed', host: { name: 'gpu-1' }, key: 'job-1' });
    const { id, devices } = placed as { id: string; devices: { address: string }[] };
    expect(await json('placement', 'decision', 'show', id)).toMatchObject({ host: 'gpu-1' });
    const busy = await run('device', 'reserve', `gpu-1/${devices[0]?.address}`, '--reason', 'x');
    expect([busy.code, busy.stderr]).toEqual([1, expect.stringMatching(/^berth: device\./)]);
    expect(await run('placement', 'delete', id)).toMatchObject({ code: 0, stderr: '' });
    for (const [words, needle] of [
      [['pool', 'list'], 'gpu-1'],
      [['queue', 'list'], 'Position'],
      [['capacity', 'list'], 'gpu'],
      [['fragmentation', 'show'], 'idle devices are of no use'],
      [['iommu', 'group', 'list', 'gpu-1'], 'gpu-1'],
      [['host', 'topology', 'show', 'gpu-1'], 'gpu-1: '],
      [['sriov', 'list', 'gpu-1'], 'Total VFs'],
      [['quota', 'show'], 'servers'],
      [['reservation', 'list'], 'Starts At'],
      [['audit', 'status'], 'anchor'],
      [['audit', 'list', '--host', 'gpu-1', '--limit', '3'], 'Seq'],
      [['device', 'claim', 'list', 'gpu-1'], 'No device'],
      [['host', 'evacuation', 'show', 'gpu-1'], 'Host gpu-1: done'],
    ] as const) {
      const { code, stdout, stderr } = await run(...words);
      expect([code, stderr], words.join(' ')).toEqual([0, '']);
      expect(stdout).toContain(needle);
    }
  });
});

describe('berth complete', () => {
  const BASH = `source <("$NODE" "$PROGRAM" complete bash)
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _berth; echo "\${COMPREPLY[*]}"; }
ask berth ser
ask berth server ''
ask berth server group c
ask berth --url http://x server list --so
ask berth server list -f ''
ask berth server create --wait --fl
ask berth server list --os-auth-t
ask berth complete z
ask berth server show x ''
cd "$FOLDER" && ask berth device specs preview --config nod
`;

  it('completes nouns, verbs, options and their choices in a real bash', async () => {
    const folder = new URL('../..', import.meta.url).pathname;
    const env = { PATH: process.env['PATH'] ?? '', NODE: process.execPath, PROGRAM, FOLDER: folder };
    const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-c', BASH], { env });
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('server');
    expect(lines[1]?.split(' ')).toEqual(
      expect.arrayContaining(['create', 'list', 'show', 'delete', 'explain', 'group']),
    );
    expect(lines.slice(2)).toEqual([
      ...['create', '--sort-column --sort-descending', 'table json yaml value csv', '--flavor'],
      ...['--os-auth-type', 'zsh', '', 'node_modules', ''],
    ]);
  });

  it.each(['zsh', 'fish'])('has a script for %s', async (shell) => {
    const { code, stdout } = await berth(['complete', shell]);
    expect(code).toBe(0);
    for (const word of ['sort-descending', 'device', 'evacuate']) expect(stdout).toContain(word);
  });

  it('prints the reference as it is kept in docs/cli.md', async () => {
    const { stdout } = await berth(['complete', 'reference']);
    expect(stdout).toBe(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8'));
  });
});
