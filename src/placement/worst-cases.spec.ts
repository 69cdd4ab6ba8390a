import { describe, expect, it } from 'vitest';
import { WORST_CASES } from '../../test/support/worst-cases.js';
import { POLICY } from '../../test/support/snapshots.js';
import { place } from './place.js';

/** What is checked is the answer; how long each takes `npm run bench:decide -- --worst` prints. */
describe('worst cases of the field', () => {
  it.each(WORST_CASES.map((one) => [one.name, one] as const))('%s', (_name, { host, request, answer, met }) => {
    const decision = place({ hosts: [host], policy: POLICY }, request, []);
    if (typeof answer === 'string') {
      expect(decision).toMatchObject({ outcome: 'rejected', rejections: [{ reasons: [{ code: answer }] }] });
      return;
    }
    expect(decision).toMatchObject({ outcome: 'placed', devices: { length: answer } });
    if (met !== undefined) expect(decision).toMatchObject({ constraints: [{ met }] });
  });
});
