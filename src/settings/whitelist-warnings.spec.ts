import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadSettings, type LoadedSettings } from './load-settings.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'berth-whitelist-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

function load(...texts: [string, string][]): LoadedSettings {
  const files = texts.map(([name, text]) => {
    writeFileSync(join(FOLDER, name), text);
    return join(FOLDER, name);
  });
  return loadSettings({ files, env: {} });
}

describe('entries that can never decide', () => {
  it('are warned of with both places, also across files', () => {
    const wide = 'agent:\n  device_spec:\n    - {vendor_id: "10de"}\n';
    const narrow = '[pci]\n# one card\ndevice_spec = {"vendor_id": "10de", "product_id": "1bb0"}\n';
    const { warnings } = load(['a.yaml', wide], ['nova.conf', narrow]);
    const places = [
      `entry 2 (${FOLDER}/nova.conf:3) never decides`,
      `entry 1 (${FOLDER}/a.yaml:3) matches all that it`,
    ];
    expect(warnings).toEqual([`device_spec: ${places.join(': ')} matches; move it before that one, or remove it`]);
  });

  it('are none where the narrower entry comes first', () => {
    const sound = 'agent:\n  device_spec:\n    - {vendor_id: "10de", product_id: "1bb0"}\n    - {vendor_id: "10de"}\n';
    expect(load(['sound.yaml', sound]).warnings).toEqual([]);
  });

  it('are named twenty times at most', () => {
    const entries = Array.from({ length: 31 }, () => '    - {}\n').join('');
    const { warnings } = load(['many.yaml', `agent:\n  device_spec:\n${entries}`]);
    expect(warnings).toHaveLength(21);
    expect(warnings.at(-1)).toBe('device_spec: 10 more entries never decide');
  });
});

it('the whitelist is kept as it is written, one entry for each that is asked', () => {
  const yaml = 'agent:\n  device_spec:\n    - {address: {bus: "4."}}\npci:\n  free_tags: [rack]\n';
  const conf = '[pci]\ndevice_spec = [{"vendor_id": "10de", "rack": "r1"}, {"class": "03"}]\n';
  const { whitelist, settings } = load(['kept.yaml', yaml], ['kept.conf', conf]);
  expect(whitelist).toEqual({
    entries: [{ address: { bus: '4.' } }, { vendor_id: '10de', rack: 'r1' }, { class: '03' }],
    freeTags: ['rack'],
  });
  expect(settings.agent.deviceSpecs).toHaveLength(3);
});
