import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { machine, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCapabilities } from './host-capabilities.js';

const HYPERVISOR = { type: 'QEMU', version: 8_002_000 };
const TOLD = { hypervisor_type: 'QEMU', hypervisor_version: 8_002_000 };

describe('capabilities of a host', () => {
  let procRoot: string;
  beforeEach(() => {
    procRoot = mkdtempSync(join(tmpdir(), 'berth-proc-'));
  });
  afterEach(() => rmSync(procRoot, { recursive: true }));

  const write = (name: string, text: string): void => {
    mkdirSync(join(procRoot, name, '..'), { recursive: true });
    writeFileSync(join(procRoot, name), text);
  };
  const read = (kernel: 'live' | 'simulated' = 'simulated') => readCapabilities({ procRoot, kernel }, HYPERVISOR);

  it('are what its kernel says; features in name order, each once, of the first CPU', () => {
    write('sys/kernel/arch', 'x86_64\n');
    write('cpuinfo', 'processor\t: 0\nflags\t\t: vmx fpu aes fpu\n\nprocessor\t: 1\nflags\t\t: other\n');
    expect(read()).toEqual({ ...TOLD, architecture: 'x86_64', cpu_features: ['aes', 'fpu', 'vmx'] });
  });

  it('are found on Arm, too', () => {
    write('sys/kernel/arch', 'aarch64');
    write('cpuinfo', 'processor\t: 0\nFeatures\t: fp asimd\n');
    expect(read()).toMatchObject({ architecture: 'aarch64', cpu_features: ['asimd', 'fp'] });
  });

  it("are not this machine's where the tree is a recorded one that does not say", () => {
    expect(read()).toEqual({ ...TOLD, architecture: null, cpu_features: [] });
    expect(read('live').architecture).toBe(machine());
  });

  it('leave out what is no word, and what is too much', () => {
    const many = Array.from({ length: 2000 }, (_, index) => `f${index}`).join(' ');
    write('sys/kernel/arch', 'x86 64; rm');
    write('cpuinfo', `flags : ok ${'x'.repeat(65)} <script> ${many}\n`);
    const { architecture, cpu_features } = read();
    expect(architecture).toBeNull();
    expect(cpu_features).toHaveLength(1024);
    expect(cpu_features.every((name) => /^f\d+$/.test(name))).toBe(true);
  });
});
