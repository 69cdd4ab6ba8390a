import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type MessageType, thoroughlyChecked } from './envelope.js';
import { QUICK_LOOKS } from './quick-look.js';

const ID = '8f3b1c9e-1f0a-4b7c-9d2e-5a6b7c8d9e0f';
const SIGNED = { host: 'host-1', epoch: 1, claim_id: ID, server_id: ID };
const PREPARE = {
  claim_id: ID,
  server_id: ID,
  devices: [{ address: '0000:81:00.0', vendor_id: '10de', product_id: '20b0' }],
};
const RELEASE = { claim_id: ID, server_id: ID, claim_number: 7, incarnation: ID };
const BINDING = { address: '0000:81:00.0', driver: 'vfio-pci', original_driver: null, iommu_group: 7 };
const PREPARED = { ...SIGNED, bindings: [BINDING] };
const RELEASED = { ...SIGNED, devices: [{ address: '0000:81:00.0', outcome: 'restored', driver: 'nvidia' }] };

const HEARTBEAT = { host: 'host-1', epoch: 1, sequence: 0, hash: '0a'.repeat(32) };

const USUAL: Readonly<Partial<Record<MessageType, object>>> = {
  'agent.heartbeat': HEARTBEAT,
  'agent.commands': {
    commands: [
      { prepare: PREPARE },
      { prepare: { ...PREPARE, claim_number: 8, incarnation: ID } },
      { release: RELEASE },
    ],
  },
  'agent.outcomes': { outcomes: [{ prepared: PREPARED }, { released: RELEASED }] },
  'devices.prepare': PREPARE,
  'devices.release': RELEASE,
  'devices.prepared': PREPARED,
  'devices.released': RELEASED,
};
const types = Object.keys(USUAL) as MessageType[];

it.each(types)('recognises a usual %s', (type) => {
  expect(QUICK_LOOKS[type]?.(USUAL[type] as object)).toBe(true);
});

/** What may stand in the place of a value: of the right kind, nearly, or not at all. */
const anything = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    '',
    'x',
    'a'.repeat(65),
    ID,
    ID.toUpperCase(),
    '0000:81:00.0',
    '0000:81:00.0\n',
    '10de',
  ),
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    1,
    NaN,
    2 ** 60,
    true,
    [],
    {},
    [null],
    [[]],
    'host-1',
    '-host',
    'restored',
    [1, 2],
  ),
);

/** The body with one value, anywhere, changed, removed or added. */
function changed(body: unknown, path: readonly number[], value: unknown, how: 'set' | 'drop' | 'add'): unknown {
  if (typeof body !== 'object' || body === null) return value;
  const [first = 0, ...rest] = path;
  const copy = (Array.isArray(body) ? [...body] : { ...body }) as Record<string, unknown>;
  const keys = Object.keys(copy);
  const key = keys[first % Math.max(1, keys.length)];
  if (how === 'add' && rest.length === 0) return { ...copy, more: value };
  if (key === undefined) return value;
  if (rest.length > 0) copy[key] = changed(copy[key], rest, value, how);
  else if (how === 'drop') delete copy[key];
  else copy[key] = value;
  return copy;
}

it('passes nothing that the thorough check does not pass', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.array(fc.nat(5), { minLength: 1, maxLength: 5 }),
      anything,
      fc.constantFrom('set' as const, 'drop' as const, 'add' as const),
      (type, path, value, how) => {
        const body = JSON.parse(JSON.stringify(changed(USUAL[type], path, value, how) ?? {})) as object;
        if (typeof body !== 'object' || body === null || Array.isArray(body) || !QUICK_LOOKS[type]?.(body)) return;
        expect(() => thoroughlyChecked(type, body)).not.toThrow();
      },
    ),
    { numRuns: 3000 },
  );
});
