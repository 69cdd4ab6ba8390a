import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/hosts.js';
import { openersOf, openersText } from './vfio-openers.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function proc(processes: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const root = await temporaryDirectory();
  ends.push(() => rm(root, { recursive: true }));
  for (const [pid, files] of Object.entries(processes)) {
    await mkdir(join(root, pid, 'fd'), { recursive: true });
    for (const [fd, file] of files.entries()) await symlink(file, join(root, pid, 'fd', String(fd)));
  }
  return root;
}

it('finds who has one of the files open, in order of process ids, and passes over what cannot be looked at', async () => {
  const root = await proc({
    '4711': ['/dev/null', '/dev/vfio/25'],
    '90': ['/dev/vfio/devices/vfio0'],
    '91': ['/dev/vfio/2'],
    self: ['/dev/vfio/25'],
  });
  await writeFile(join(root, '4711/comm'), 'qemu-system-x86\n');
  await writeFile(join(root, '90/comm'), 'bad\u0001name\n');
  await mkdir(join(root, '92')); // it ends just now
  const found = await openersOf(root, ['/dev/vfio/25', '/dev/vfio/devices/vfio0']);
  expect(found).toEqual([
    { pid: 90, name: 'a program' },
    { pid: 4711, name: 'qemu-system-x86' },
  ]);
  expect(openersText(found)).toBe('a program (process 90), qemu-system-x86 (process 4711)');
  expect(await openersOf(root, ['/dev/vfio/25'], [90, 93])).toEqual([]);
  expect(await openersOf(join(root, 'none'), ['/dev/vfio/25'])).toEqual([]);
});

it('names eight of many', async () => {
  const root = await proc(Object.fromEntries(Array.from({ length: 40 }, (_, n) => [String(n + 1), ['/dev/vfio/1']])));
  expect((await openersOf(root, ['/dev/vfio/1'])).map(({ pid }) => pid)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

it('finds a real process by a file that it has open', async () => {
  const file = join(await proc({}), 'open');
  await writeFile(file, '');
  const child = spawn('sh', ['-c', 'exec 3<"$1"; echo ready; read -r _', 'sh', file], { stdio: 'pipe' });
  ends.push(async () => {
    child.stdin.end('\n');
    await once(child, 'close');
  });
  await once(child.stdout, 'data');
  expect(await openersOf('/proc', [file])).toEqual([{ pid: child.pid, name: 'sh' }]);
});
