import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ChangeWatch, UEVENT_SEQNUM } from './change-watch.js';

const POLL_MS = 250;
const roots: string[] = [];
afterEach(() => roots.splice(0).forEach((root) => rmSync(root, { recursive: true, force: true })));

/** A host whose clock and count of uevents the test sets. */
class Host {
  readonly root = mkdtempSync(join(tmpdir(), 'berth-watch-'));
  readonly looks: number[] = [];
  now = 0;
  lookMs = 100;
  private count = 1000;
  private ends: (() => void)[] = [];
  readonly watch = new ChangeWatch(
    { sysfsRoot: this.root, intervalMs: 1_000_000, look: () => this.look() },
    () => this.now,
  );

  constructor(hasCount = true) {
    roots.push(this.root);
    mkdirSync(join(this.root, 'kernel'));
    if (hasCount) this.uevent();
  }

  uevent(): void {
    this.count += 1;
    writeFileSync(join(this.root, UEVENT_SEQNUM), `${this.count}\n`);
  }

  /** Lets time pass, polled as by the timer. */
  async pass(ms: number, at: () => void = () => undefined): Promise<void> {
    const until = this.now + ms;
    while (this.now < until) {
      this.now += POLL_MS;
      if (this.ends.length > 0 && this.now >= (this.looks.at(-1) ?? 0) + this.lookMs) {
        this.ends.splice(0).forEach((end) => end());
        await new Promise((resolve) => setImmediate(resolve));
      }
      at();
      this.watch.poll();
    }
  }

  private look(): Promise<void> {
    this.looks.push(this.now);
    return new Promise((resolve) => this.ends.push(resolve));
  }
}

describe('the watch for changes', () => {
  it('does not look while nothing happens', async () => {
    const host = new Host();
    expect(host.watch.start()).toBe(true);
    await host.pass(60_000);
    expect(host.looks).toEqual([]);
    await host.watch.stop();
  });

  it('looks once after a burst, well within five seconds', async () => {
    const host = new Host();
    host.watch.start();
    await host.pass(1000);
    for (let burst = 0; burst < 40; burst += 1) host.uevent();
    await host.pass(10_000);
    expect(host.looks).toHaveLength(1);
    expect(host.looks[0]).toBeLessThanOrEqual(2000);
    await host.watch.stop();
  });

  it('looks again for what came during a look', async () => {
    const host = new Host();
    host.watch.start();
    host.uevent();
    await host.pass(750);
    expect(host.looks).toHaveLength(1);
    host.uevent();
    await host.pass(5000);
    expect(host.looks).toHaveLength(2);
    await host.watch.stop();
  });

  it.each([100, 900, 4000])('bounds a storm, with looks of %i ms', async (lookMs) => {
    const host = new Host();
    host.lookMs = lookMs;
    host.watch.start();
    await host.pass(60_000, () => host.uevent());
    const gaps = host.looks.slice(1).map((at, index) => at - (host.looks[index] as number));
    expect(host.looks.length).toBeGreaterThan(5);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(lookMs + 1000);
    // and what changes last is seen in time, too
    expect(Math.max(...gaps)).toBeLessThanOrEqual(lookMs + 4000);
  });

  it('leaves it to the periodic scan where there is no count, or none that is one', () => {
    expect(new Host(false).watch.start()).toBe(false);
    const odd = new Host();
    writeFileSync(join(odd.root, UEVENT_SEQNUM), 'many\n');
    expect(odd.watch.start()).toBe(false);
  });

  it('passes over a count that cannot be read for a while', async () => {
    const host = new Host();
    host.watch.start();
    rmSync(join(host.root, UEVENT_SEQNUM));
    await host.pass(5000);
    expect(host.looks).toEqual([]);
    host.uevent();
    await host.pass(1000);
    expect(host.looks).toHaveLength(1);
  });
});
