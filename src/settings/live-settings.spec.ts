import { describe, expect, it } from 'vitest';
import { differenceOf, withLiveParts, type Role } from './live-settings.js';
import { loadSettings } from './load-settings.js';
import { SETTINGS } from './settings-table.js';
import type { Settings } from './settings.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import { parseSriovDeclarations } from '../pci/sriov/sriov-declaration.js';
import { parseAliases } from '../pci/alias/alias.js';

const BASE: Settings = loadSettings({ files: [], env: {} }).settings;

function told(overrides: Record<string, unknown>, more: Partial<Settings> = {}): Settings {
  return { ...loadSettings({ files: [], env: {}, overrides }).settings, ...more };
}

function offering(entry: object, where = 'agent.yaml:3'): Settings {
  return { ...BASE, agent: { ...BASE.agent, deviceSpecs: parseDeviceSpecs([entry], () => where, { freeTags: [] }) } };
}

const GPU = { vendor_id: '10de', product_id: '1bb0' };
const ALIASES = parseAliases([{ value: { name: 'gpu', ...GPU, device_type: 'type-PCI' }, where: 'test' }]);

describe('what differs', () => {
  it('nothing, when an entry only stands at another line', () => {
    const same = differenceOf(offering(GPU), offering(GPU, 'agent.yaml:7'), 'agent');
    expect(same).toEqual({ live: [], needsRestart: [] });
  });

  it('declared VFs are live, wherever they are declared', () => {
    const declaring = (vf_count: number, where: string): Settings => {
      const sriov = parseSriovDeclarations([{ devname: 'ens1f0', vf_count }], where);
      return { ...BASE, agent: { ...BASE.agent, sriov } };
    };
    const [two, three] = [declaring(2, 'a:1'), declaring(3, 'a:1')];
    expect(differenceOf(two, declaring(2, 'a:9'), 'agent')).toEqual({ live: [], needsRestart: [] });
    expect(differenceOf(two, three, 'agent')).toEqual({ live: ['agent.sriov'], needsRestart: [] });
    expect(differenceOf(two, three, 'api').live).toEqual([]);
    expect(withLiveParts(two, three).agent.sriov).toEqual(three.agent.sriov);
  });

  it('whitelist, aliases and log level are live', () => {
    const next: Settings = { ...offering(GPU), aliases: ALIASES, logLevel: 'debug' };
    expect(differenceOf(BASE, next, 'all')).toEqual({
      live: ['agent.device_spec', 'aliases', 'log_level'],
      needsRestart: [],
    });
    expect(differenceOf(BASE, next, 'agent').live).toEqual(['agent.device_spec', 'log_level']);
    expect(differenceOf(BASE, next, 'api').live).toEqual(['aliases', 'log_level']);
    expect(differenceOf(BASE, next, 'scheduler').live).toEqual(['log_level']);
  });

  it.each<[Role, string[]]>([
    [
      'all',
      ['http.port', 'database.pool_max', 'bus.delivery_limit', 'scheduler.filters', 'agent.read_only', 'data_dir'],
    ],
    ['api', ['http.port', 'database.pool_max', 'scheduler.filters']],
    ['scheduler', ['http.port', 'database.pool_max', 'bus.delivery_limit', 'scheduler.filters']],
    ['agent', ['http.port', 'bus.delivery_limit', 'agent.read_only']],
  ])('of other settings %s is told of its own', (role, keys) => {
    const next = told({
      'http.port': 1,
      'database.pool_max': 3,
      'bus.delivery_limit': 9,
      'scheduler.filters': ['ComputeFilter'],
      'agent.read_only': true,
      data_dir: '/elsewhere',
    });
    expect(differenceOf(BASE, next, role)).toEqual({ live: [], needsRestart: keys });
  });

  it('every setting of the table is found where it is', () => {
    const other = JSON.parse(JSON.stringify(BASE), (key, value: unknown) =>
      isPlain(value) || ['arguments', 'trustedProxies'].includes(key) ? 'other' : value,
    ) as Settings;
    expect(differenceOf(BASE, other, 'all').needsRestart).toEqual(
      SETTINGS.map(({ key }) => key).filter((key) => key !== 'log_level'),
    );
  });
});

it('only what is live is taken over', () => {
  const next: Settings = {
    ...told({ 'http.port': 1, 'agent.read_only': true, log_level: 'debug' }),
    aliases: ALIASES,
  };
  const both = withLiveParts(BASE, { ...next, agent: { ...next.agent, deviceSpecs: offering(GPU).agent.deviceSpecs } });
  expect(both).toEqual({ ...offering(GPU), aliases: ALIASES, logLevel: 'debug' });
});

/** The empty object is a setting, too: multipliers. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Array.isArray(value) ? value.length > 0 : Object.keys(value).length === 0;
}
