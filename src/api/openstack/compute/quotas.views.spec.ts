import { describe, expect, it } from 'vitest';
import type { QuotaAmounts } from '../../quotas/quotas.service.js';
import * as views from './quotas.views.js';

const AMOUNTS: QuotaAmounts = {
  own: new Map([['servers', 5], ['kept:key_pairs', 3], ['alias:gpu', 1]]), // prettier-ignore
  defaults: new Map([['servers', 10], ['vcpus', 20]]), // prettier-ignore
  used: new Map([['servers', 2], ['vcpus', 4], ['memory_mb', 512]]), // prettier-ignore
};
const FOR_EVER = { instances: 5, cores: 20, ram: -1, key_pairs: 3, metadata_items: 128 };
const GROUPS = { server_groups: -1, server_group_members: -1 };
const FILES = { injected_files: 0, injected_file_content_bytes: 0, injected_file_path_bytes: 0 };
const NETWORKS = { fixed_ips: -1, floating_ips: -1, security_groups: -1, security_group_rules: -1 };

describe('quotas as Nova shows them', () => {
  it.each([
    [1, { ...FOR_EVER, ...GROUPS, ...FILES, ...NETWORKS }],
    [35, { ...FOR_EVER, ...GROUPS, ...FILES, ...NETWORKS }],
    [36, { ...FOR_EVER, ...GROUPS, ...FILES }],
    [56, { ...FOR_EVER, ...GROUPS, ...FILES }],
    [57, { ...FOR_EVER, ...GROUPS }],
  ])('2.%i', (minor, set) => expect(views.quotaSetView(AMOUNTS, minor)).toEqual(set));

  it('with what is used', () => {
    expect(views.quotaDetailView(AMOUNTS, 57)).toMatchObject({
      instances: { limit: 5, in_use: 2, reserved: 0 },
      ram: { limit: -1, in_use: 512, reserved: 0 },
      key_pairs: { limit: 3, in_use: 0, reserved: 0 },
    });
  });

  const defaults = { instances: 10, cores: 20, ram: -1, key_pairs: 100, metadata_items: 128 };
  it('by default', () => {
    expect(views.defaultQuotasView(AMOUNTS, 57)).toEqual({ ...defaults, ...GROUPS });
  });

  it.each([
    [49, { ...defaults, ...FILES, ...NETWORKS }],
    [50, { ...defaults, ...FILES, ...GROUPS }],
    [57, { ...defaults, ...GROUPS }],
  ])('of the class, 2.%i', (minor, set) => expect(views.quotaClassView(AMOUNTS, minor)).toEqual(set));

  const limits = {
    ...{ maxTotalInstances: 5, maxTotalCores: 20, maxTotalRAMSize: -1, maxTotalKeypairs: 3, maxServerMeta: 128 },
    ...{ maxServerGroups: -1, maxServerGroupMembers: -1 },
    ...{ totalInstancesUsed: 2, totalCoresUsed: 4, totalRAMUsed: 512, totalServerGroupsUsed: 0 },
  };
  const files = { maxPersonality: 0, maxPersonalitySize: 0 };
  it.each([
    [
      35,
      {
        ...{ ...limits, ...files, maxImageMeta: 128, maxTotalFloatingIps: -1, maxSecurityGroups: -1 },
        ...{ maxSecurityGroupRules: -1, totalFloatingIpsUsed: 0, totalSecurityGroupsUsed: 0 },
      },
    ],
    [36, { ...limits, ...files, maxImageMeta: 128 }],
    [39, { ...limits, ...files }],
    [57, limits],
  ])('as limits, 2.%i', (minor, absolute) => {
    expect(views.limitsView(AMOUNTS, minor)).toEqual({ limits: { rate: [], absolute } });
  });
});
