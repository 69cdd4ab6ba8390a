import { createHash } from 'node:crypto';
import type { Decision, Placement, Rejection } from '../placement/decision.js';
import type { Frozen } from '../placement/frozen-snapshot.js';
import type { ExcludedHost, PlacementRequest } from '../placement/request.js';

/** Body of `base`: so many `host` entries follow, and they are all hosts that there are. */
export interface BaseBody {
  /** `ENGINE_VERSION` of the program. */
  readonly engine: number;
  readonly hosts: number;
  /** Decisions that could not be recorded, between the stretch before and this one. */
  readonly lost: number;
}

/** Body of `host`: it became this. */
export interface HostBody {
  readonly id: string;
  /** Hashes of its facts, and of its build, which others share; both are in `journal_facts`. */
  readonly facts: string;
  readonly build: string;
  readonly state: Frozen;
}

/**
 * Body of `decision`: one server or several, asked for together or decided one after another; these are as many entries in one. Who is placed is on its host from then on,
 * in the order of the members.
 */
export interface DecisionBody {
  /** At least so many, or none; null: each by itself, one after another. */
  readonly together: number | null;
  readonly members: readonly DecisionMember[];
}

export interface DecisionMember {
  readonly server_id: string;
  readonly server_name: string;
  /** Counted from 1. */
  readonly attempt: number;
  readonly request: PlacementRequest;
  readonly excluded: readonly ExcludedHost[];
  readonly chosen: Chosen;
  /** Of the whole decision, see {@link decisionHash}; null: only what was chosen is compared. */
  readonly hash: string | null;
}

/** A decision without what it was weighed by: as much as is needed to go on from there. */
export type Chosen = Omit<Placement, 'scores' | 'rejections'> | Omit<Rejection, 'rejections'>;

export function chosenOf(decision: Decision): Chosen {
  if (decision.outcome === 'rejected') {
    const { rejections: _rejections, ...chosen } = decision;
    return chosen;
  }
  const { scores: _scores, rejections: _rejections, ...chosen } = decision;
  return chosen;
}

/** SHA-256 of the decision's JSON as it is, key order and all: equal only for what is equal byte for byte. */
export function decisionHash(decision: Decision): string {
  return textHash(JSON.stringify(decision));
}

/** How many entries of the journal a body stands for. */
export function entriesIn({ together, members }: DecisionBody): number {
  return together === null ? members.length : 1;
}

export function textHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
