import { defineConfig } from 'vitest/config';

/** One process, the REST face in it, and no others. */
const REST = ['rest', 'compute', 'openstack', 'placement', 'security'].map((name) => `test/e2e/${name}*.spec.ts`);

const shared = { environment: 'node', globals: false } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: ['src/**/*.spec.ts', 'conformance/**/*.spec.ts', 'bench/**/*.spec.ts'],
          isolate: false,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          sequence: { groupOrder: 1 },
          include: ['test/integration/**/*.spec.ts'],
          globalSetup: ['test/support/services.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...shared,
          name: 'rest',
          sequence: { groupOrder: 2 },
          include: REST,
          globalSetup: ['test/support/services.ts'],
          // each has a database of its own, and loading the program takes longer than most of them
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          sequence: { groupOrder: 3 },
          include: ['test/e2e/**/*.spec.ts'],
          exclude: REST,
          globalSetup: ['test/support/services.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          ...shared,
          name: 'simulation',
          sequence: { groupOrder: 4 },
          include: ['test/simulation/**/*.spec.ts'],
          globalSetup: ['test/support/postgres-alone.ts', 'test/simulation/totals.ts'],
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...shared,
          name: 'keystone',
          sequence: { groupOrder: 5 },
          include: ['test/keystone/*.spec.ts'],
          globalSetup: ['test/support/postgres-alone.ts'],
          testTimeout: 120_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          ...shared,
          name: 'clients',
          sequence: { groupOrder: 6 },
          include: ['test/clients/*.spec.ts'],
          globalSetup: ['test/support/postgres-alone.ts'],
          testTimeout: 180_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          ...shared,
          name: 'kernel',
          sequence: { groupOrder: 7 },
          include: ['test/kernel/*.spec.ts'],
          globalSetup: ['test/support/postgres-alone.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          ...shared,
          name: 'nested',
          sequence: { groupOrder: 8 },
          include: ['test/kernel/nested/*.spec.ts'],
          globalSetup: ['test/support/postgres-alone.ts'],
          testTimeout: 1_800_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
