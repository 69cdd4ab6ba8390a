import 'reflect-metadata';
import { AmqpBus } from '../src/bus/amqp.bus.js';
import type { Bus } from '../src/bus/bus.js';
import type { AgentOutcome, PrepareDevices, ReleaseDevices } from '../src/messages/bodies.js';
import { envelope, type Envelope } from '../src/messages/envelope.js';
import { agentQueue, QUEUES } from '../src/messages/routes.js';
import { loadSettings } from '../src/settings/load-settings.js';
import { hostName } from './fleet.js';

/** Commands of one host that are carried out at once; the channel is shared. */
const PREFETCH = 64;
const EPOCH = 1_700_000_000_000;

/** The program of a process of its own: for each host of the fleet an agent that takes a while to bind and to free, on the real broker. */
async function serve(brokerUrl: string, hosts: number, bindMs: number): Promise<void> {
  const { settings } = loadSettings({ files: [], env: {} });
  const bus = new AmqpBus({ ...settings.bus, url: brokerUrl }, () => undefined);
  while (!bus.isReady()) await new Promise((resolve) => setTimeout(resolve, 20));
  for (let first = 0; first < hosts; first += 50) {
    const some = Array.from({ length: Math.min(50, hosts - first) }, (_unused, index) => hostName(first + index));
    await Promise.all(
      some.map((host) =>
        bus.consume(agentQueue(host), (message) => carryOut(bus, host, message, bindMs), {
          prefetch: PREFETCH,
          channel: 'agents',
        }),
      ),
    );
  }
  process.on('message', () => void bus.close().then(() => process.exit(0)));
  process.send?.({ ready: true });
}

async function carryOut(bus: Bus, host: string, message: Envelope, bindMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, bindMs));
  const outcomes = outcomesOf(host, message);
  if (outcomes.length > 0) await bus.publish(QUEUES.outcomes, envelope('agent.outcomes', { outcomes }));
}

function outcomesOf(host: string, message: Envelope): AgentOutcome[] {
  if (message.type === 'devices.prepare') return [prepared(host, message.body)];
  if (message.type === 'devices.release') return [released(host, message.body)];
  if (message.type !== 'agent.commands') return [];
  return message.body.commands.flatMap(({ prepare, release }) => [
    ...(prepare ? [prepared(host, prepare)] : []),
    ...(release ? [released(host, release)] : []),
  ]);
}

function prepared(host: string, { claim_id, server_id, devices }: PrepareDevices): AgentOutcome {
  const bindings = devices.map(({ address }) => ({
    ...{ address, driver: 'vfio-pci', original_driver: null, iommu_group: 1 },
  }));
  return { prepared: { host, epoch: EPOCH, claim_id, server_id, bindings } };
}

function released(host: string, { claim_id, server_id }: ReleaseDevices): AgentOutcome {
  return { released: { host, epoch: EPOCH, claim_id, server_id, devices: [] } };
}

process.on('disconnect', () => process.exit(1));
await serve(process.argv[2] ?? '', Number(process.argv[3]), Number(process.argv[4]));
