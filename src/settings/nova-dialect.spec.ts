import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { loadSettings, type LoadedSettings } from './load-settings.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'berth-dialect-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** @param files name → text; read in this order */
function load(compat: string, files: Readonly<Record<string, string>>): LoadedSettings {
  const paths = Object.entries(files).map(([name, text]) => {
    const path = join(FOLDER, name);
    writeFileSync(path, text);
    return path;
  });
  return loadSettings({ files: paths, env: { BERTH_COMPAT: compat } });
}

function problems(compat: string, files: Readonly<Record<string, string>>): unknown {
  try {
    return load(compat, files).warnings;
  } catch (error) {
    return ((error as BerthError).details['problems'] as string[]).map((text) => text.replaceAll(`${FOLDER}/`, ''));
  }
}

const A = `[DEFAULT]
pci_passthrough_whitelist = {"vendor_id": "9999"}
[pci]
device_spec = {"vendor_id": "1111"}
`;
const B = `[pci]
device_spec = {"vendor_id": "2222"}
passthrough_whitelist = {"vendor_id": "3333"}
`;

describe('the setting compat', () => {
  it('is strict, unless a file or the environment says nova', () => {
    expect(loadSettings({ files: [], env: {} }).settings.compat).toBe('strict');
    const { settings } = load('nova', {});
    expect(settings.compat).toBe('nova');
    expect(settings.scheduler.compat).toBe('nova');
  });

  it('orders entries of several names: the current name first, or file by file and the oldest name first', () => {
    const vendors = (compat: string) =>
      load(compat, { 'a.conf': A, 'b.conf': B }).settings.agent.deviceSpecs.map(({ vendorId }) => vendorId);
    expect(vendors('strict')).toEqual(['1111', '2222', '3333', '9999']);
    expect(vendors('nova')).toEqual(['9999', '1111', '3333', '2222']);
  });

  it('takes in the nova dialect what Nova takes', () => {
    const conf = `[pci]
alias = {"name": "gpu", "vendor_id": "10DE"}
device_spec = {"vender_id": "10de",
  "rack": ["a", "b"]}
`;
    const { settings, warnings } = load('nova', { 'nova.conf': conf });
    expect(warnings).toEqual([]);
    expect(settings.agent.deviceSpecs).toMatchObject([
      { vendorId: null, tags: { vender_id: '10de', rack: "['a', 'b']" } },
    ]);
    expect(settings.aliases).toMatchObject([{ name: 'gpu', specs: [{ vendorId: '10DE', deviceType: null }] }]);
    expect(problems('strict', { 'nova.conf': conf })).toHaveLength(2);
  });

  it('tells in the nova dialect what Nova refuses, with its place and its name', () => {
    const conf = `[pci]
alias = {"name": "gpu", "product_id": "1bb"}
alias = {"name": "nic", "traits": "A"}
device_spec = [{"address": "*:0a:00.*"},
  {"address": "0a*:00.1"}]
`;
    expect(problems('nova', { 'nova.conf': conf })).toEqual([
      'nova.conf:5: address: the bus "0a*" of "0a*:00.1" is not hex (PciConfigInvalidSpec)',
      'nova.conf:2: alias: product_id: "1bb" is not allowed (PciInvalidAlias)',
      'nova.conf:3: alias: unknown key traits; the keys are name, capability_type, vendor_id, product_id, device_type, numa_policy (PciInvalidAlias)',
    ]);
  });

  it('tells lines of one name that do not agree', () => {
    const conf = `[pci]
alias = {"name": "gpu", "device_type": "type-PCI"}
alias = {"name": "gpu", "device_type": "type-VF"}
`;
    expect(problems('nova', { 'nova.conf': conf })).toEqual([
      'alias: alias gpu: each line of a repeated name has to say the same device_type (PciInvalidAlias)',
    ]);
  });
});
