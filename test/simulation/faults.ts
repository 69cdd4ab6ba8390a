import type { Chance } from './chance.js';
import type { Fault, Faults, Point } from './conductor.js';
import { NO_BUS_FAULTS, busAway, type BusFaults } from './unreliable-bus.js';

/** How rough a seed is: probabilities at each point, and of each message. */
export interface Roughness {
  readonly crash: number;
  readonly sqlFails: number;
  /** Of a COMMIT: whether it was done is not known then. */
  readonly commitAnswerLost: number;
  readonly sendFails: number;
  readonly journalFails: number;
  readonly kernelRefuses: number;
  readonly bus: BusFaults;
}

const SMOOTH: Roughness = {
  ...{ crash: 0, sqlFails: 0, commitAnswerLost: 0, sendFails: 0, journalFails: 0, kernelRefuses: 0 },
  bus: NO_BUS_FAULTS,
};
const NETWORK: Roughness = { ...SMOOTH, bus: { drop: 0.08, double: 0.12, delay: 0.15, reorder: 0.3 } };
const CRASHES: Roughness = { ...SMOOTH, crash: 0.008, commitAnswerLost: 0.03 };
const HOSTS: Roughness = { ...SMOOTH, crash: 0.001, kernelRefuses: 0.08, journalFails: 0.02 };
const ALL: Roughness = {
  ...{
    crash: 0.003,
    sqlFails: 0.002,
    commitAnswerLost: 0.01,
    sendFails: 0.03,
    journalFails: 0.01,
    kernelRefuses: 0.03,
  },
  bus: { drop: 0.04, double: 0.06, delay: 0.1, reorder: 0.2 },
};

/** Some seeds have one kind of fault only: what goes wrong then has few causes. */
export function roughnessOf(chance: Chance): Roughness {
  return chance.weighted([
    { weight: 1, rough: SMOOTH },
    { weight: 3, rough: NETWORK },
    { weight: 3, rough: CRASHES },
    { weight: 2, rough: HOSTS },
    { weight: 6, rough: ALL },
  ]).rough;
}

/** A fault that the simulation made: who meets it may fail. */
export class MadeFault extends Error {}

/** Decides at every point, by the seed. */
export class FaultsOfSeed implements Faults {
  constructor(
    private readonly chance: Chance,
    private readonly rough: Roughness,
  ) {}

  at({ kind, label }: Point): Fault | null {
    const { crash, sqlFails, commitAnswerLost, sendFails, journalFails } = this.rough;
    const isCommit = label === 'COMMIT';
    // a statement in a transaction is as good as undone by a crash: the commit is where it matters
    const often = kind === 'sql' && !isCommit ? 0.4 : isCommit || kind === 'journal' || kind === 'kernel' ? 3 : 1;
    if (this.chance.is(crash * often)) return this.chance.is(0.5) ? 'crash before' : 'crash after';
    if (isCommit && this.chance.is(commitAnswerLost)) return 'answer lost';
    if (kind === 'sql' && this.chance.is(sqlFails)) return 'fails';
    if (kind === 'bus' && this.chance.is(sendFails)) return this.chance.is(0.5) ? 'fails' : 'answer lost';
    if (kind === 'journal' && this.chance.is(journalFails)) return this.chance.is(0.5) ? 'fails' : 'answer lost';
    return null;
  }

  failure({ kind }: Point): Error {
    if (kind === 'bus') return busAway();
    if (kind === 'journal') return Object.assign(new MadeFault('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    return new MadeFault('Connection terminated unexpectedly');
  }
}
