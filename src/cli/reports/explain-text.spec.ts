import { describe, expect, it } from 'vitest';
import { explanationText, type Explanation } from './explain-text.js';

const CLASS = {
  ...{ vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI', numa_node: 0, total: 2, free: 0, in_use: 1 },
  ...{ held: { failed: 1 }, blocked_by_relative: 0, blocked_by_iommu_group: 0, not_whole: 0, missing: 0 },
};
const REJECTED: Explanation = {
  ...{ server_id: 'id-1', server_name: 'training-3', status: 'ERROR', attempt: 1, host: null, hosts_considered: 7 },
  ...{ decided_at: '2026-01-02T03:00:00.000Z', outcome: 'rejected', sentences: [], scores: [], constraints: [] },
  filters: [],
  rejections: [
    {
      filter: 'PciPassthroughFilter',
      hosts: ['gpu-1', 'gpu-2', 'gpu-3', 'gpu-4', 'gpu-5'],
      host_count: 5,
      reasons: [
        {
          message: '2 devices of alias gpu: 2 wanted, 0 free; 1 in use; 1 failed',
          named: [{ host: 'gpu-1', message: '2 devices of alias gpu: 2 wanted, 0 free; 1 in use by a; 1 failed' }],
          details: { classes: [CLASS] },
        },
      ],
    },
    { filter: 'ComputeFilter', hosts: ['cpu-1', 'cpu-2'], host_count: 2, reasons: [] },
  ],
  changes: {
    ...{ computed_at: '2026-01-02T03:04:05.000Z', fits_now: false, fits_on: null, complete: false },
    changes: [
      {
        steps: [{ about: 'request', sentence: 'ask for 1 instead of 2 of alias gpu' }],
        equal_hosts: null,
        host: 'gpu-9',
      },
      { steps: [{ about: 'fleet', sentence: 'enable host gpu-9' }], equal_hosts: 4, host: 'gpu-9' },
    ],
  },
};

describe('an explanation at a terminal', () => {
  it('says that there is no host, why, and what would help', () => {
    expect(explanationText(REJECTED)).toBe(
      `training-3 (id-1) is ERROR: NO VALID HOST.
7 hosts looked at, attempt 1, 2026-01-02T03:00:00.000Z

Turned down
  5 hosts by PciPassthroughFilter: gpu-1, gpu-2, gpu-3, gpu-4, …
    2 devices of alias gpu: 2 wanted, 0 free; 1 in use; 1 failed
    e.g. gpu-1: 2 devices of alias gpu: 2 wanted, 0 free; 1 in use by a; 1 failed
  2 hosts by ComputeFilter: cpu-1, cpu-2
    no reason was recorded

Devices that match, on the first host of each group
  host   ids        type      node  all  free  used  held      relative  iommu  partial  missing
  gpu-1  10de:1bb0  type-PCI  0     2    0     1     1 failed  0         0      0        0

What would make it fit
  1. ask for 1 instead of 2 of alias gpu -> gpu-9
  2. enable host gpu-9 [4 hosts alike] -> gpu-9
  (tried on the hosts as of 2026-01-02T03:04:05.000Z; not everything could be tried)
`,
    );
  });

  it('says where the server is, and who came next and why', () => {
    const placed: Explanation = {
      ...REJECTED,
      ...{ status: 'ACTIVE', outcome: 'placed', host: 'gpu-1', rejections: [], changes: null, hosts_considered: 3 },
      scores: [
        { rank: 1, host: 'gpu-1', total: 3, delta: 0, decided_by: null },
        { rank: 2, host: 'gpu-2', total: 1.5, delta: 1.5, decided_by: 'PCIWeigher' },
        { rank: 3, host: 'gpu-3', total: 1.5, delta: 0, decided_by: null },
      ],
      constraints: [{ text: 'gpu,nic within PXB', met: false, distance: 'PHB' }],
    };
    expect(explanationText(placed)).toBe(
      `training-3 (id-1) is ACTIVE: placed on gpu-1.
3 hosts looked at, attempt 1, 2026-01-02T03:00:00.000Z

Scores
     host   total  behind  because of
  1  gpu-1  3.000  winner
  2  gpu-2  1.500  -1.500  PCIWeigher
  3  gpu-3  1.500  -0.000  equal: order of names

Topology
  not met  gpu,nic within PXB  (PHB)
`,
    );
  });

  it('says so when there is nothing yet, and names nobody for a project', () => {
    const none: Explanation = {
      ...REJECTED,
      outcome: null,
      attempt: null,
      decided_at: null,
      rejections: [],
      changes: null,
    };
    expect(explanationText(none)).toBe('training-3 (id-1) is ERROR: nothing was decided yet.\n');
    const project = explanationText({
      ...REJECTED,
      rejections: REJECTED.rejections.map((one) => ({
        ...one,
        hosts: [],
        reasons: one.reasons.map((reason) => ({ ...reason, named: [] })),
      })),
      changes: null,
    });
    expect(project).not.toMatch(/gpu-|cpu-/);
    expect(project).toContain('5 hosts by PciPassthroughFilter\n');
  });
});
