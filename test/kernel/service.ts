import { type Fleet, startFleet } from '../support/fleet.js';
import type { ShownDevice, ShownServer } from '../support/rest-client.js';
import type { AgentPlan } from './guest-agent.js';

/** The host's name in all kernel tests. */
export const HOST = 'kernel-1';
/** Of this machine's 127.0.0.1, seen from a guest on QEMU's user network. */
const OUTSIDE = '10.0.2.2';

/** An emulated machine on a busy one: what takes seconds may take a minute, and is no fault. */
const PATIENT = { BERTH_SCHEDULER_CLAIM_TIMEOUT_MS: '300000', BERTH_SCHEDULER_HOST_SILENT_AFTER_MS: '120000' };
export const PATIENCE_MS = 120_000;

/** The service outside of the machine: Postgres, RabbitMQ, `berth api` and `berth scheduler`, real all of them. */
export function startService(databaseUrl: string, aliases: string): Promise<Fleet> {
  return startFleet({ databaseUrl, hosts: [], apiConfig: { 'api.conf': aliases }, env: PATIENT });
}

/** An agent that reports to the service, with its devices in Nova's words. */
export function agentOf(service: Fleet, deviceSpecs: readonly string[]): AgentPlan {
  const lines = deviceSpecs.map((spec) => `device_spec = ${spec}\n`);
  return {
    config: { 'agent.conf': `[pci]\n${lines.join('')}` },
    env: {
      AMQP_URL: service.rabbitMq.url.replace('127.0.0.1', OUTSIDE),
      BERTH_HOST: HOST,
      BERTH_AGENT_SCAN_INTERVAL_MS: '3000',
      BERTH_AGENT_HEARTBEAT_INTERVAL_MS: '1000',
      NODE_OPTIONS: '--import=/berth/dying.mjs',
    },
  };
}

/** The host's devices as REST lists them, by address. */
export async function listedDevices(service: Fleet): Promise<ReadonlyMap<string, ShownDevice>> {
  const devices = await service.rest.devices(`host=${HOST}`);
  return new Map(devices.map((device) => [device.address, device]));
}

/** A server of a flavor, once it is ACTIVE or in ERROR. */
export async function placed(service: Fleet, flavor: string): Promise<ShownServer> {
  return service.rest.whenSettled(await service.rest.createServer({ name: flavor, flavor }), PATIENCE_MS);
}
