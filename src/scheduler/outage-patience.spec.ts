import { describe, expect, it } from 'vitest';
import { OutagePatience } from './outage-patience.js';

const AWAY = Object.assign(new Error('the database system is starting up'), { code: '57P03' });

/** Work that fails so often, and then does not. */
function failing(times: number, error: Error): { readonly work: () => Promise<string>; tries: number } {
  const counted = {
    tries: 0,
    work: () => {
      counted.tries += 1;
      return counted.tries > times ? Promise.resolve('done') : Promise.reject(error);
    },
  };
  return counted;
}

describe('OutagePatience', () => {
  it('tries again until the database is back', async () => {
    const { work } = failing(3, AWAY);
    expect(await new OutagePatience().through(work)).toBe('done');
  });

  it('does not try again what is no outage', async () => {
    const counted = failing(1, new Error('a bug'));
    await expect(new OutagePatience().through(counted.work)).rejects.toThrow('a bug');
    expect(counted.tries).toBe(1);
  });

  it('gives up an outage that lasts', async () => {
    const counted = failing(1_000, AWAY);
    await expect(new OutagePatience(350).through(counted.work)).rejects.toThrow('starting up');
    expect(counted.tries).toBe(3); // at 0, 100 and 300 ms
  });

  it('gives up at once when it is stopped', async () => {
    const patience = new OutagePatience();
    const waiting = patience.through(failing(1_000, AWAY).work);
    patience.stop();
    await expect(waiting).rejects.toThrow('starting up');
  });
});
