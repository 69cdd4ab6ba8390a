import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { DeviceEvent, DeviceStatus } from '../pci/device-state.js';
import type { DriftKind, DriftPolicy } from '../pci/drift.js';
import type { Decision } from '../placement/decision.js';

/** A device's way from one status to another. */
export interface AuditedTransition {
  readonly device_id: string;
  readonly host_id: string;
  readonly address: string;
  /** What happened to the device; to a relative of it: what made it follow. */
  readonly event: DeviceEvent;
  readonly from: DeviceStatus;
  readonly to: DeviceStatus;
  /** The server that takes or gives back the device; null: none does, or the device is only a relative. */
  readonly server_id: string | null;
}

export interface AuditedDecision {
  readonly server_id: string;
  readonly attempt: number;
  readonly outcome: Decision['outcome'];
  readonly host_id: string | null;
  /** SHA-256 of the text of the record, which `decisions` has to the letter. */
  readonly record_sha256: string;
}

/** What happened to a device behind the ledger's back. */
export interface AuditedDrift {
  readonly device_id: string;
  readonly host_id: string;
  readonly address: string;
  readonly drift: DriftKind;
  readonly reason: string;
  readonly policy: DriftPolicy;
  /** The server that has the device; null: none. */
  readonly server_id: string | null;
}

/** What an administrator did, or a file. */
export interface AuditedAdmin {
  /** `host.change`, `device.quarantine`, `alias.changed`, `audit.prune`, … */
  readonly action: string;
  /** null: not known. */
  readonly actor: string | null;
  readonly [detail: string]: unknown;
}

/** Servers that had to leave for another. */
export interface AuditedPreemption {
  readonly server_id: string;
  readonly host_id: string;
  readonly victims: readonly string[];
}

/** What one row of the audit says. */
export type AuditBody =
  | { readonly kind: 'transition'; readonly transitions: readonly AuditedTransition[] }
  | { readonly kind: 'decision'; readonly decisions: readonly AuditedDecision[] }
  | ({ readonly kind: 'preemption' } & AuditedPreemption)
  | ({ readonly kind: 'drift' } & AuditedDrift)
  | ({ readonly kind: 'admin' } & AuditedAdmin);

const PER_BODY_MAX = 1000;

export function transitionBodies(transitions: readonly AuditedTransition[]): AuditBody[] {
  return inParts(transitions).map((part) => ({ kind: 'transition', transitions: part }));
}

/** @param records the JSON of each decision, as it is written; several may share one */
export function decisionBodies(
  decided: readonly {
    readonly server: { readonly id: string; readonly attempts: number };
    readonly decision: Decision;
  }[],
  records: readonly string[],
): AuditBody[] {
  const hashes = new Map<string, string>();
  const hashOf = (record: string): string => {
    const hash = hashes.get(record) ?? createHash('sha256').update(record).digest('hex');
    hashes.set(record, hash);
    return hash;
  };
  const decisions = decided.map(({ server, decision }, index) => ({
    server_id: server.id,
    attempt: server.attempts + 1,
    outcome: decision.outcome,
    host_id: decision.outcome === 'placed' ? decision.hostId : null,
    record_sha256: hashOf(records[index] as string),
  }));
  return inParts(decisions).map((part) => ({ kind: 'decision', decisions: part }));
}

function inParts<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += PER_BODY_MAX) parts.push(items.slice(at, at + PER_BODY_MAX));
  return parts;
}

/** This process, as the audit names it. A host name has no line break, so the hashed text is unambiguous. */
export const AUDIT_WRITER = `${hostname().replace(/[^\w.-]/g, '_')}:${process.pid}`;
