import 'reflect-metadata';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import { charmsGuideHost, temporaryHost } from '../../test/support/hosts.js';
import { BusModule } from '../bus/bus.module.js';
import { Bus } from '../bus/bus.js';
import type { Envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { AgentSettings, BusSettings } from '../settings/settings.js';
import { ComputeAgentModule } from './compute-agent.module.js';
import { ComputeAgentService } from './compute-agent.service.js';

const BUS: BusSettings = { url: null, messageBytesMax: 16_000_000, deliveryLimit: 3 };

it('runs its agents from bootstrap to shutdown, and tells readiness of each', async () => {
  const [disk, remove] = await temporaryHost(charmsGuideHost('h'));
  const agent = (host: string, sysfsRoot = disk.sysfs): AgentSettings => ({
    host,
    sysfsRoot,
    procRoot: disk.proc,
    stateDir: join(disk.directory, host),
    kernel: 'simulated',
    readOnly: true,
    deviceSpecs: [],
    scanIntervalMs: 3_600_000,
    heartbeatIntervalMs: 3_600_000,
    resources: { vcpus: null, memoryMb: null, diskGb: null },
    ...{ reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 }, hypervisor: { type: 'QEMU', version: null } },
  });
  const bus = BusModule.register(BUS);
  const agents = [agent('node-1'), agent('node-2', join(disk.directory, 'none'))];
  const app = await Test.createTestingModule({ imports: [bus, ComputeAgentModule.register(agents, bus)] }).compile();
  app.useLogger(false);
  const service = app.get(ComputeAgentService);
  expect(service.checks()).toEqual({ agents: { ok: false, message: 'not all agents are started' } });

  const reports: Envelope[] = [];
  const take = async (message: Envelope): Promise<void> => void reports.push(message);
  await app.get(Bus).consume(QUEUES.reports, take, { prefetch: 1 });
  await app.init();
  expect(service.checks()).toMatchObject({
    agents: { ok: true },
    'agent node-1': { ok: true, message: '' },
    'agent node-2': { ok: false, message: expect.stringContaining('cannot be read: ENOENT') as string },
  });
  expect(reports.map(({ body }) => 'host' in body && body.host)).toEqual(['node-1']);
  await app.close();
  expect(service.status()).toEqual([]);
  await remove();
});
