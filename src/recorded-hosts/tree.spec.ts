import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/hosts.js';
import { BerthError } from '../errors.js';
import { recordHost } from './record.js';
import { loadRecordedTree, packTree, readTree, unpackTree, writeTree, type HostTree, type TreeEntry } from './tree.js';

const RECORDED = ['small', 'full', 'full-active', 'accel', 'accel-active', 'legacy', 'noiommu', 'host'];

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a host tree', () => {
  it.each(RECORDED)('%s: packed, unpacked, written and read again is the same', async (name) => {
    const tree = await loadRecordedTree(name);
    expect(tree.entries.length).toBeGreaterThan(400);
    expect(unpackTree(packTree(tree))).toEqual(tree);
    await writeTree(tree, join(directory, 'host'));
    expect(await readTree(join(directory, 'host'), name)).toEqual(tree);
  });

  it('always packs to the same bytes', async () => {
    const tree = await loadRecordedTree('small');
    expect(packTree(tree).equals(packTree(unpackTree(packTree(tree))))).toBe(true);
  });

  it('records of a written tree what it would record of the host itself', async () => {
    const tree = await loadRecordedTree('full-active');
    await writeTree(tree, join(directory, 'host'));
    expect(await recordHost(join(directory, 'host'), tree.name)).toEqual(tree);
  });

  it('records neither serial numbers nor what a scheduler has no use for', async () => {
    const inside = join(directory, 'sys/devices/pci0000:00/0000:00:01.0');
    for (const name of ['power', 'block/vda', 'net/eth0/statistics'])
      await mkdir(join(inside, name), { recursive: true });
    await writeFile(join(inside, 'serial'), 'S3CRET');
    await writeFile(join(inside, 'block/vda/serial'), 'S3CRET');
    await writeFile(join(inside, 'vendor'), '0x8086\n');
    const { entries } = await recordHost(directory, 'x');
    expect(entries.map(({ path }) => path.split('/').at(-1))).toEqual(
      expect.arrayContaining(['pci0000:00', '0000:00:01.0', 'vendor', 'eth0']),
    );
    expect(JSON.stringify(entries)).not.toMatch(/S3CRET|power|statistics/);
  });

  it('never follows links, and takes a file that cannot be read as empty', async () => {
    await mkdir(join(directory, 'sys'));
    await symlink('..', join(directory, 'sys/up'));
    await symlink('self', join(directory, 'sys/self'));
    await writeFile(join(directory, 'sys/bind'), 'not for reading');
    await chmod(join(directory, 'sys/bind'), 0o200);
    await writeFile(join(directory, 'sys/resource0'), 'device memory');
    const { entries } = await readTree(directory, 'x');
    expect(entries).toEqual([
      { path: 'sys', kind: 'dir', mode: 0o755 },
      { path: 'sys/bind', kind: 'file', mode: 0o200, content: '' },
      { path: 'sys/resource0', kind: 'file', mode: 0o644, content: '' },
      { path: 'sys/self', kind: 'link', target: 'self' },
      { path: 'sys/up', kind: 'link', target: '..' },
    ]);
  });

  it('survives a kernel that refuses', async () => {
    // The attributes of a process do as drivers do: `mem` has nothing at address 0 and answers EIO.
    const selects = (path: string): boolean => /^(mem|clear_refs|status|comm)$/.test(path);
    const { entries } = await readTree('/proc/self', 'x', selects);
    const contents = new Map(entries.map((entry) => [entry.path, entry.kind === 'file' ? entry.content : null]));
    expect(contents.get('mem')).toBe('');
    expect(contents.get('comm')).not.toBe('');
  });

  it('is not written into a directory that has something in it', async () => {
    await writeFile(join(directory, 'mine'), 'mine');
    await expect(writeTree({ name: 'x', entries: [] }, directory)).rejects.toThrow(/is not empty/);
  });

  const dir = (path: string): TreeEntry => ({ path, kind: 'dir', mode: 0o755 });
  const file = (path: string): TreeEntry => ({ path, kind: 'file', mode: 0o644, content: 'x' });
  it.each<[string, TreeEntry[], RegExp]>([
    ['a way up', [file('../evil')], /without "\.\."/],
    ['a way up inside', [dir('a'), file('a/../../evil')], /without "\.\."/],
    ['an absolute path', [file('/tmp/evil')], /relative path/],
    ['a file behind a link', [{ path: 'a', kind: 'link', target: '/tmp' }, file('a/evil')], /before its directory/],
    ['a file below a file', [file('a'), file('a/b')], /before its directory/],
    ['a link to nothing', [{ path: 'a', kind: 'link', target: '' }], /link to nothing/],
    ['a very long path', [file('a'.repeat(2000))], /relative path/],
    ['a very large file', [{ ...file('a'), content: 'x'.repeat(2 ** 21) } as TreeEntry], /too large/],
  ])('is refused with %s', async (_what, entries, message) => {
    const tree: HostTree = { name: 'evil', entries };
    await expect(writeTree(tree, join(directory, 'to'))).rejects.toThrow(message);
    expect(await lstat(join(directory, 'to')).catch(() => null)).toBeNull();
    expect(() => unpackTree(packTree(tree))).toThrow(message);
  });

  it.each([
    ['no gzip', Buffer.from('x')],
    ['no JSON', gzipSync('x')],
    ['another form', gzipSync('{"form":"x","name":"x","entries":[]}')],
    ['a null', gzipSync('null')],
    ['an odd entry', gzipSync('{"form":"berth-host-tree/1","name":"x","entries":[["a","644",5]]}')],
    ['a special mode', gzipSync('{"form":"berth-host-tree/1","name":"x","entries":[["a","4755","x"]]}')],
    ['more than fits', gzipSync(Buffer.alloc(70 << 20))],
  ])('is not made of %s', (_what, bytes) => {
    expect(() => unpackTree(bytes)).toThrow(BerthError);
  });

  it('keeps write-only files and modes on disk', async () => {
    await writeTree(await loadRecordedTree('small'), directory);
    const driver = join(directory, 'sys/bus/pci/drivers/e1000e');
    expect((await lstat(join(driver, 'bind'))).mode & 0o777).toBe(0o200);
    expect((await lstat(join(directory, 'sys/bus/pci/devices/0000:01:00.0/remove'))).mode & 0o777).toBe(0o220);
    expect(await readFile(join(directory, 'sys/bus/pci/devices/0000:01:00.0/vendor'), 'utf8')).toBe('0x8086\n');
    expect(await readdir(join(directory, 'proc'))).toContain('meminfo');
  });
});
