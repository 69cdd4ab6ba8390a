import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { eightGpuHost, sriovNicHost, temporaryHost, type HostOnDisk } from '../../../test/support/hosts.js';
import { parseAliases } from '../../pci/alias/alias.js';
import { parseDeviceSpecs } from '../../pci/device-spec/device-spec-reader.js';
import { preparationFiles } from './preparation-files.js';
import type { PreparedFile } from './preparation.js';
import { preparationOf, type PreparationRequest } from './prepare-host.js';
import { writeFiles } from './write-files.js';

const removals: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

async function onDisk(host: Parameters<typeof temporaryHost>[0]): Promise<HostOnDisk> {
  const [written, remove] = await temporaryHost(host);
  removals.push(remove);
  return written;
}

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'berth-prepare-'));
  removals.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const ALIASES = [
  { name: 'p5000', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
  { name: 'p5000', vendor_id: '10de', product_id: '10f0', device_type: 'type-PCI' },
  { name: 'qat', vendor_id: '8086', product_id: '0443', device_type: 'type-VF' },
  { name: 'fast', vendor_id: '10de', product_id: '1db4', device_type: 'type-PCI', traits: ['HW_GPU_FAST'] },
  { name: 'any-gpu', resource_class: 'CUSTOM_GPU', device_type: 'type-PCI' },
];
const aliases = parseAliases(ALIASES.map((value) => ({ value, where: 'test' })));

function request(more: Partial<PreparationRequest>): PreparationRequest {
  const nothing = { deviceSpecs: null, host: null, drivers: [], blacklist: [], tag: 'pci-passthrough' };
  return { cpu: 'intel', aliases, aliasNames: [], ...nothing, ...more };
}

function specs(...entries: object[]) {
  return parseDeviceSpecs(entries, 'test', { freeTags: [] });
}

function rootsOf({ sysfs, proc }: HostOnDisk) {
  return { sysfsRoot: sysfs, procRoot: proc };
}

async function filesOf(more: Partial<PreparationRequest>): Promise<PreparedFile[]> {
  return preparationFiles(await preparationOf(request(more)));
}

function textOf(files: readonly PreparedFile[], path: string): string {
  const file = files.find((one) => one.path === path);
  expect(file, path).toBeDefined();
  return file?.text ?? '';
}

/** What a shell makes of the drop-in. */
function grubLine(files: readonly PreparedFile[]): string {
  const script = `GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n${textOf(files, 'etc/default/grub.d/60-berth-passthrough.cfg')}printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' });
}

function golden(files: readonly PreparedFile[]): string {
  return files.map(({ path, mode, text }) => `=== ${path} ${mode.toString(8)}\n${text}`).join('\n');
}

const FIXTURES = '../../../test/fixtures/host-preparation';

describe('the files', () => {
  it.each(['intel', 'amd'])('for aliases on %s are those of the golden file', async (cpu) => {
    const files = await filesOf({ cpu, aliasNames: ['p5000', 'qat'], blacklist: ['nouveau'] });
    await expect(golden(files)).toMatchFileSnapshot(`${FIXTURES}/${cpu}-aliases.golden`);
  });

  it('for one host, which keeps a card of the same make, are those of the golden file', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const addresses = await gpusOf(host);
    const deviceSpecs = specs(...addresses.slice(0, 2).map((address) => ({ address })));
    const files = await filesOf({ deviceSpecs, host: rootsOf(host) });
    await expect(golden(files)).toMatchFileSnapshot(`${FIXTURES}/intel-one-host.golden`);
  });

  it.each(['intel', 'amd'])('are read by their programs as they are meant (%s)', async (cpu) => {
    const files = await filesOf({ cpu, aliasNames: ['p5000', 'qat'], deviceSpecs: specs({ address: '0000:81:00.0' }) });
    const kernel = `${cpu}_iommu=on iommu=pt vfio-pci.ids=10de:1bb0,10de:10f0,8086:0443`;
    expect(grubLine(files)).toBe(`quiet ${kernel}`);
    for (const { path, text } of files.filter(({ mode }) => mode === 0o755)) {
      expect(() => execFileSync('sh', ['-n'], { input: text }), path).not.toThrow();
    }
    const userData = parse(textOf(files, 'cloud-init/user-data')) as CloudConfig;
    const onHost = files.filter(({ path }) => path.startsWith('etc/'));
    expect(userData.write_files).toEqual(
      onHost.map(({ path, mode, text }) => ({ path: `/${path}`, permissions: `0${mode.toString(8)}`, content: text })),
    );
    expect(userData.runcmd).toContain('systemctl enable berth-passthrough.service');
    for (const command of userData.runcmd) expect(() => execFileSync('sh', ['-n'], { input: command })).not.toThrow();
    expect(userData.runcmd.join()).toContain(kernel);
    const juju = parse(textOf(files, 'juju/cloudinit-userdata.yaml')) as CloudConfig;
    expect(juju.write_files.map(({ path }) => path)).not.toContain('/etc/default/grub.d/60-berth-passthrough.cfg');
    expect(juju.postruncmd.join()).toContain('update-initramfs -u');
    expect(maasArguments(textOf(files, 'maas/create-tag.sh'))).toEqual([
      [
        'admin',
        'tags',
        'create',
        'name=pci-passthrough',
        `comment=PCI passthrough on ${cpu === 'intel' ? 'Intel' : 'AMD'}`,
        `kernel_opts=${kernel}`,
      ],
      ['admin', 'tag', 'update-nodes', 'pci-passthrough', 'add=abc123'],
    ]);
  });

  interface CloudConfig {
    readonly write_files: readonly { path: string; permissions: string; content: string }[];
    readonly runcmd: readonly string[];
    readonly postruncmd: readonly string[];
  }

  /** What MAAS's client is called with. */
  function maasArguments(script: string): string[][] {
    const client = `maas() { for word in "$@"; do printf '%s\\n' "$word"; done; echo; }\nPROFILE=admin\nset -- abc123\n`;
    const said = execFileSync('sh', ['-c', client + script], { encoding: 'utf8' });
    return said
      .trim()
      .split('\n\n')
      .map((call) => call.split('\n'));
  }
});

it('binds a device by its unit as the kernel wants it', async () => {
  const [root, address] = [await folder(), '0000:81:00.0'];
  const device = join(root, 'bus/pci/devices', address);
  await mkdir(join(root, 'bus/pci/drivers/nouveau'), { recursive: true });
  await mkdir(device, { recursive: true });
  await symlink('../../drivers/nouveau', join(device, 'driver'));
  const unit = textOf(
    await filesOf({ deviceSpecs: specs({ address }) }),
    'etc/systemd/system/berth-passthrough.service',
  );
  const [, script] = /^ExecStart=-\/bin\/sh -ec '(.*)' 0000:81:00\.0$/m.exec(unit) ?? [];
  const shell = (script ?? '').replaceAll('$$', '$').replaceAll('/sys/', `${root}/`);
  execFileSync('sh', ['-ec', shell, address]);
  expect(await readFile(join(device, 'driver_override'), 'utf8')).toBe('vfio-pci\n');
  expect(await readFile(join(root, 'bus/pci/drivers/nouveau/unbind'), 'utf8')).toBe(`${address}\n`);
  expect(await readFile(join(root, 'bus/pci/drivers_probe'), 'utf8')).toBe(`${address}\n`);
  await rm(join(device, 'driver'));
  await symlink('../../drivers/vfio-pci', join(device, 'driver'));
  await rm(join(root, 'bus/pci/drivers_probe'));
  execFileSync('sh', ['-ec', shell, address]);
  expect(await readdir(join(root, 'bus/pci'))).not.toContain('drivers_probe');
});

describe('devices of a host', () => {
  it('go by ids where all with the ids go', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const found = await preparationOf(request({ deviceSpecs: specs({ vendor_id: '10de' }), host: rootsOf(host) }));
    expect(found.ids.map(({ id }) => id)).toEqual(['10de:20b0']);
    expect(found).toMatchObject({ addresses: [], drivers: ['nouveau'], notes: [] });
  });

  it('go by address where the host keeps one, whatever the alias or the whitelist says', async () => {
    const host = await onDisk(eightGpuHost('g'));
    const [first = '', ...others] = await gpusOf(host);
    const found = await preparationOf(request({ deviceSpecs: specs({ address: first }), host: rootsOf(host) }));
    expect(found.ids).toEqual([]);
    expect(found.addresses).toEqual([first]);
    expect(found.notes.join()).toContain(others[0]);
  });

  it('that block others of their group are named', async () => {
    const host = await onDisk('legacy');
    const found = await preparationOf(
      request({
        deviceSpecs: specs({ address: '0000:01:00.0', override_protection: true }),
        host: rootsOf(host),
      }),
    );
    expect(found.notes.join()).toContain('0000:02:00.0, 0000:03:00.0 share IOMMU groups');
  });

  it('that are VFs are left to the agent unless all with their ids go', async () => {
    const host = await onDisk(sriovNicHost('n'));
    const vfs = (await readdir(join(host.sysfs, 'bus/pci/devices'))).sort();
    const offered = await preparationOf(request({ deviceSpecs: specs({ product_id: '154c' }), host: rootsOf(host) }));
    expect(offered.ids.map(({ id }) => id)).toEqual(['8086:154c']);
    const all = await scannedVfs(host, vfs);
    const one = request({ deviceSpecs: specs({ address: all[0] }), host: rootsOf(host) });
    await expect(preparationOf(one)).rejects.toMatchObject({ code: 'request.invalid' });
  });

  it('that do not exist are an error', async () => {
    const host = await onDisk('small');
    await expect(preparationOf(request({ aliasNames: ['p5000'], host: rootsOf(host) }))).rejects.toThrow(
      'this host has no device that was asked for',
    );
  });
});

async function gpusOf(host: HostOnDisk): Promise<string[]> {
  return withFile(host, 'device', '0x20b0');
}

function scannedVfs(host: HostOnDisk, names: readonly string[]): Promise<string[]> {
  expect(names.length).toBeGreaterThan(10);
  return withFile(host, 'device', '0x154c');
}

async function withFile(host: HostOnDisk, file: string, text: string): Promise<string[]> {
  const devices = join(host.sysfs, 'bus/pci/devices');
  const names = (await readdir(devices)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(devices, name, file), 'utf8')));
  return names.filter((_, index) => texts[index]?.trim() === text);
}

describe('what is refused', () => {
  const REFUSED: readonly [string, Partial<PreparationRequest>, RegExp][] = [
    ['another CPU', { cpu: 'intel amd', aliasNames: ['p5000'] }, /--cpu/],
    ['nothing', {}, /--alias NAME or --device-spec/],
    ['an alias that is not there', { aliasNames: ['p5000\nroot::0'] }, /"p5000\?root::0" is not an alias/],
    ['an alias without ids', { aliasNames: ['any-gpu'] }, /no vendor_id and product_id/],
    ['an empty whitelist', { deviceSpecs: [] }, /no device_spec entry/],
    ['an entry by class', { deviceSpecs: specs({ class: '03' }) }, /entry 1 \(test.*\): class/],
    [
      'an entry by NUMA node',
      { deviceSpecs: specs({ vendor_id: '10de', product_id: '1bb0', numa_node: 0 }) },
      /numa_node/,
    ],
    ['an entry by part of an address', { deviceSpecs: specs({ address: '0000:81:*.*' }) }, /: address/],
    ['an entry without a product', { deviceSpecs: specs({ vendor_id: '10de' }) }, /no product_id/],
    ['an exclusion', { deviceSpecs: specs({ vendor_id: '10de', product_id: '1bb0', exclude: true }) }, /exclude/],
    ['a driver with a blank', { aliasNames: ['qat'], drivers: ['a b'] }, /"a b" is not the name of a kernel module/],
    ['a driver with a line', { aliasNames: ['qat'], drivers: ['a\ninstall x /bin/sh'] }, /kernel module/],
    ['a blacklist with an option', { aliasNames: ['qat'], blacklist: ['-x'] }, /kernel module/],
    ['a tag with a quotation', { aliasNames: ['qat'], tag: "a'; reboot; '" }, /MAAS tag/],
    [
      '65 drivers',
      { aliasNames: ['qat'], drivers: Array.from({ length: 65 }, (_, n) => `d${n}`) },
      /65 drivers; at most 64/,
    ],
  ];

  it.each(REFUSED)('%s', async (_name, more, message) => {
    await expect(filesOf(more)).rejects.toThrow(message);
  });

  it('more ids than the kernel reads', async () => {
    const entries = Array.from({ length: 101 }, (_, n) => ({
      vendor_id: '10de',
      product_id: (0x1000 + n).toString(16),
    }));
    await expect(filesOf({ deviceSpecs: specs(...entries) })).rejects.toThrow('101 different ids');
    expect(await filesOf({ deviceSpecs: specs(...entries.slice(1)) })).not.toEqual([]);
  });
});

it('lets no name of an alias or file leave its comment', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }), async (name) => {
      const [alias] = parseAliases([{ value: ALIASES[0], where: 'test' }]);
      const named = [{ ...(alias as (typeof aliases)[number]), name }];
      const deviceSpecs = specs({ vendor_id: '8086', product_id: '0443' }).map((spec) => ({ ...spec, where: name }));
      const files = await filesOf({ aliases: named, aliasNames: [name], deviceSpecs });
      for (const { text } of files) expect(text).toMatch(/^[\x20-\x7e\n]*$/);
      const plain = await filesOf({ aliases: [{ ...named[0], name: 'x' } as never], aliasNames: ['x'], deviceSpecs });
      const withoutComments = (all: readonly PreparedFile[]): string[] =>
        all
          .filter(({ path }) => path !== 'README.txt')
          .map(({ text }) =>
            text
              .split('\n')
              .filter((line) => !/^\s*#/.test(line))
              .join('\n'),
          );
      expect(withoutComments(files)).toEqual(withoutComments(plain));
    }),
    { numRuns: 80 },
  );
});

describe('writing', () => {
  it('makes the folder, and replaces nothing without being told', async () => {
    const output = join(await folder(), 'new', 'host');
    const files = await filesOf({ aliasNames: ['p5000'] });
    await writeFiles(output, files, false);
    for (const { path, text, mode } of files) {
      expect(await readFile(join(output, path), 'utf8')).toBe(text);
      expect((await stat(join(output, path))).mode & 0o777).toBe(mode);
    }
    await writeFile(join(output, 'README.txt'), 'mine');
    await expect(writeFiles(output, files, false)).rejects.toMatchObject({ code: 'request.invalid' });
    expect(await readFile(join(output, 'README.txt'), 'utf8')).toBe('mine');
    await writeFiles(output, files, true);
    expect(await readFile(join(output, 'README.txt'), 'utf8')).not.toBe('mine');
    expect((await readdir(output)).sort()).toEqual(['README.txt', 'cloud-init', 'etc', 'juju', 'maas']);
  });

  it('writes nothing at all when one of the files exists', async () => {
    const output = await folder();
    await writeFile(join(output, 'README.txt'), 'mine');
    await expect(writeFiles(output, await filesOf({ aliasNames: ['p5000'] }), false)).rejects.toThrow('--force');
    expect(await readdir(output)).toEqual(['README.txt']);
  });

  it.each(['/etc', '/etc/x', '/', '/usr/local/berth', '/sys', '/dev/shm/../../etc'])('refuses %s', async (output) => {
    await expect(writeFiles(output, await filesOf({ aliasNames: ['p5000'] }), true)).rejects.toThrow('running system');
  });

  it('does not follow links out of the folder', async () => {
    const [output, elsewhere] = [await folder(), await folder()];
    const files = await filesOf({ aliasNames: ['p5000'] });
    await symlink(elsewhere, join(output, 'etc'));
    await expect(writeFiles(output, files, true)).rejects.toThrow('is not a directory');
    await rm(join(output, 'etc'));
    await symlink('/etc', join(output, 'link'));
    await expect(writeFiles(join(output, 'link'), files, true)).rejects.toThrow('running system');
    await expect(writeFiles(join(output, 'link', 'below'), files, true)).rejects.toThrow('running system');
    await symlink(join(elsewhere, 'precious'), join(output, 'README.txt'));
    await expect(writeFiles(output, files, true)).rejects.toThrow('is not a file');
    expect(await readdir(elsewhere)).toEqual([]);
  });
});
