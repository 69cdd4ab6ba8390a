import { describe, expect, it } from 'vitest';
import { WaitingPass } from './waiting-pass.js';

describe('a pass through the queue', () => {
  it('is made once for each change of the hosts, and at the start', () => {
    const pass = new WaitingPass();
    expect(pass.next(0)).toEqual({ after: 0, limit: 256 });
    expect(pass.done(3, 0)).toBe(false);
    expect(pass.next(0)).toBeNull();
    expect(pass.done(0, 0)).toBe(false);
    expect(pass.next(1)).toEqual({ after: 0, limit: 256 });
  });

  it('goes on in parts to the end, whatever changes meanwhile; who was placed is counted out', () => {
    const pass = new WaitingPass();
    pass.next(1);
    expect(pass.done(256, 6)).toBe(true);
    expect(pass.next(2)).toEqual({ after: 250, limit: 256 });
    expect(pass.done(256, 0)).toBe(true);
    expect(pass.next(3)).toEqual({ after: 506, limit: 256 });
    expect(pass.done(10, 10)).toBe(false);
    expect(pass.next(3)).toEqual({ after: 0, limit: 256 });
    expect(pass.done(1, 0)).toBe(false);
    expect(pass.next(3)).toBeNull();
  });

  it('whose part failed is tried again', () => {
    const pass = new WaitingPass();
    expect(pass.next(1)).toEqual({ after: 0, limit: 256 });
    expect(pass.next(1)).toEqual({ after: 0, limit: 256 });
  });
});
