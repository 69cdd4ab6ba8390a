import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '..');

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
  .map((file) => ({ file: file.replaceAll('\\', '/'), text: readFileSync(join(SRC, file), 'utf8') }));

/** Each SQL statement in a template or a string, with the file that it is in. */
const statements = sources.flatMap(({ file, text }) =>
  [...text.matchAll(/`[^`]*`|'[^'\n]*'/g)].map(([statement]) => ({ file, statement })),
);

function filesWith(pattern: RegExp): string[] {
  return [...new Set(statements.filter(({ statement }) => pattern.test(statement)).map(({ file }) => file))].sort();
}

/** What is between SET and the end of the list of assignments. */
const SETS_STATUS =
  /\bUPDATE\s+devices\b(?:\s+(?:AS\s+)?\w+)?\s+SET\b(?:(?!\b(?:FROM|WHERE|RETURNING)\b)[\s\S])*?\bstatus\s*=/i;

describe('what the audit tells of', () => {
  it('recognises a statement that changes the status of devices', () => {
    expect(SETS_STATUS.test(`UPDATE devices SET status = 'failed'`)).toBe(true);
    expect(SETS_STATUS.test(`UPDATE devices AS d\n SET updated_at = now(), status = c.status FROM c`)).toBe(true);
    expect(SETS_STATUS.test(`UPDATE devices SET status_reason = $2 WHERE status = 'failed'`)).toBe(false);
    expect(SETS_STATUS.test(`UPDATE servers SET status = 'ERROR'`)).toBe(false);
  });

  it('is every change of a device: one place changes it, and audits it in the same statement', () => {
    expect(filesWith(SETS_STATUS)).toEqual(['store/device-states.store.ts']);
    const [only] = statements.filter(({ statement }) => SETS_STATUS.test(statement));
    expect(only?.statement).toContain('${auditing(');
  });

  it('is every change of a device by a function of the database: it audits as well', () => {
    const MIGRATIONS = join(SRC, '..', 'migrations');
    const functions = readdirSync(MIGRATIONS)
      .flatMap((file) => [...readFileSync(join(MIGRATIONS, file), 'utf8').matchAll(/`\s*CREATE FUNCTION (\w+)[^`]*`/g)])
      .filter(([text]) => SETS_STATUS.test(text));
    expect(functions.map(([, name]) => name)).toEqual(['commit_placements']);
    expect(functions[0]?.[0]).toMatch(/INSERT INTO audit_pending/);
  });

  it('is every device: one place makes them, gone at first, and they go only with their host', () => {
    const makes = /\bINSERT\s+INTO\s+devices\b/i;
    expect(filesWith(makes)).toEqual(['store/inventory.store.ts']);
    const made = statements.filter(({ statement }) => makes.test(statement));
    expect(made.map(({ statement }) => statement)).toEqual([expect.stringContaining(`'removed'`)]);
    expect(made[0]?.statement).not.toMatch(/DO UPDATE[\s\S]*\bstatus\s*=/);
    const REMOVAL = 'store/evacuation-admin.store.ts';
    expect(filesWith(/\b(?:DELETE\s+FROM|TRUNCATE|MERGE\s+INTO|COPY)\s+devices\b/i)).toEqual([REMOVAL]);
    const text = sources.find(({ file }) => file === REMOVAL)?.text;
    expect(text).toMatch(/await auditRemoval\(tx, id, name\);\n\s+for \(const statement of FORGET\)/);
  });

  it('is every decision', () => {
    const makes = /\bINSERT\s+INTO\s+decisions\b/i;
    expect(filesWith(makes)).toEqual(['store/claim-rows.store.ts']);
    expect(statements.find(({ statement }) => makes.test(statement))?.statement).toContain('${auditing(');
    const changes = statements.filter(({ statement }) => /\b(?:UPDATE|DELETE\s+FROM)\s+decisions\b/i.test(statement));
    // a host that is removed has no row to name any more; the entry names it for ever
    expect(changes.map(({ statement }) => statement)).toEqual([
      '`UPDATE decisions SET host_id = NULL WHERE host_id = $1`',
    ]);
  });

  it('is written by nobody but the sealer', () => {
    const SEALER = 'store/audit.store.ts';
    expect(filesWith(/\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+audit_(?:entries|anchors)\b/i)).toEqual([SEALER]);
    expect(filesWith(/\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+audit_pending\b/i)).toEqual([SEALER]);
  });
});
