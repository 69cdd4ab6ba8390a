import { expect, it } from 'vitest';
import { runProgram } from './kernel-programs.js';

it('runs a program with its words and its input, without a shell', async () => {
  expect(await runProgram('cat', [], { input: '$HOME `id`' })).toEqual({ code: 0, output: '$HOME `id`', problem: '' });
  expect(await runProgram('printf', ['%s', '; exit 3'])).toMatchObject({ code: 0, output: '; exit 3' });
});

it('has an environment of its own', async () => {
  const { output } = await runProgram('env', []);
  expect(output.trim().split('\n').sort()).toEqual(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin']);
});

it('tells how it failed', async () => {
  const { code, problem } = await runProgram('cat', ['/nowhere']);
  expect([code, problem]).toEqual([1, 'cat: /nowhere: No such file or directory']);
  await expect(runProgram('no-such-program', [])).rejects.toMatchObject({ code: 'ENOENT' });
});

it('ends one that takes too long', async () => {
  expect(await runProgram('sleep', ['60'], { timeoutMs: 50 })).toMatchObject({
    code: null,
    problem: 'ended by SIGKILL',
  });
});

it('keeps no more than a screen of what it says', async () => {
  const { output } = await runProgram('head', ['-c', '1000000', '/dev/zero']);
  expect(output).toHaveLength(16_384);
});
