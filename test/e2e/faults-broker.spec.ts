import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { expect, inject, it } from 'vitest';
import { startFleet } from '../support/fleet.js';
import { charmsGuideHost, quickAssistHost } from '../support/hosts.js';
import { eventually } from '../support/rest-client.js';

it('survives many broker kills', async () => {
  const config = { 'nova.conf': '[pci]\ndevice_spec = {"vendor_id":"10de","product_id":"1bb0"}\nalias = {"vendor_id":"10de","product_id":"1bb0","device_type":"type-PCI","name":"gpu"}\n' };
  const fleet = await startFleet({
    databaseUrl: inject('databaseUrl'),
    hosts: [
      { name: 'gpu-1', tree: charmsGuideHost('gpu-1'), config },
      { name: 'qat-1', tree: quickAssistHost('qat-1', 6), config },
    ],
    apiConfig: config,
    env: { BERTH_SCHEDULER_CLAIM_TIMEOUT_MS: '5000', BERTH_SCHEDULER_HOST_SILENT_AFTER_MS: '6000' },
  });
  try {
    for (let n = 0; n < 14; n++) {
      await fleet.rabbitMq.kill9();
      await sleep(Math.random() * 1000);
      await fleet.rabbitMq.restart();
      const ids: string[] = [];
      for (let i = 0; i < 6; i++) ids.push(await fleet.rest.createServer({ name: `r${n}-${i}`, devices: 'gpu:1' }));
      const at = Date.now();
      for (const id of ids) await fleet.rest.whenSettled(id, 20_000).catch((error: unknown) => {
        writeFileSync('/tmp/e2e/stuck', String(error));
        throw error;
      });
      for (const id of ids) await fleet.rest.remove(id);
      console.log(n, Date.now() - at);
    }
  } catch (error) {
    console.log(fleet.tails());
    await sleep(100_000);
    throw error;
  } finally { await fleet.close(); }
  expect(eventually).toBeDefined();
});
