import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Every version that an alias ever had, and what the configuration files of each origin say.
 *
 * Alias specs have got new fields: rows that were written without them are filled, so that readers know one shape only.
 * `down` leaves the fields, for an older program does not look at them.
 */
export class AliasVersions1763700000000 implements MigrationInterface {
  name = 'AliasVersions1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

/** As they were when this was written: what a spec without the new fields meant. */
const NEW_FIELDS = JSON.stringify({
  forbiddenTraits: [],
  anyTraits: [],
  tags: {},
  withoutTags: [],
  selector: null,
  utility: 0,
  group: null,
});

/** The specs in `column`, in their order, each with the new fields; those that it has stay. */
const filled = (column: string): string =>
  `(SELECT coalesce(jsonb_agg('${NEW_FIELDS}'::jsonb || spec ORDER BY place), '[]')
      FROM jsonb_array_elements(${column}) WITH ORDINALITY AS old_specs(spec, place))`;

const UP = [
  `UPDATE aliases SET specs = ${filled('specs')}`,
  `UPDATE servers SET request = jsonb_set(request, '{devices}',
     (SELECT jsonb_agg('{"aliasVersion": null}'::jsonb || device
                       || jsonb_build_object('specs', ${filled(`device -> 'specs'`)}) ORDER BY place)
        FROM jsonb_array_elements(request -> 'devices') WITH ORDINALITY AS old_devices(device, place)))
   WHERE request -> 'devices' <> '[]'`,
  `CREATE TABLE alias_versions (
     name text NOT NULL,
     version integer NOT NULL,
     numa_policy text NOT NULL,
     specs jsonb NOT NULL,
     source text NOT NULL,
     origin text,
     change text NOT NULL,
     changed_at timestamptz NOT NULL DEFAULT now(),
     changed_by text NOT NULL,
     CONSTRAINT alias_versions_pkey PRIMARY KEY (name, version),
     CONSTRAINT alias_versions_numa_policy_check CHECK (numa_policy IN ('required', 'preferred', 'legacy', 'socket')),
     CONSTRAINT alias_versions_source_check CHECK (source IN ('file', 'rest')),
     CONSTRAINT alias_versions_change_check CHECK (change IN ('created', 'changed', 'deleted'))
   )`,
  `INSERT INTO alias_versions (name, version, numa_policy, specs, source, change, changed_at, changed_by)
   SELECT name, version, numa_policy, specs, source, CASE version WHEN 1 THEN 'created' ELSE 'changed' END, updated_at,
          CASE source WHEN 'file' THEN 'file:unknown' ELSE 'rest' END
   FROM aliases`,
  `CREATE TABLE alias_origins (
     origin text NOT NULL,
     said_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT alias_origins_pkey PRIMARY KEY (origin)
   )`,
  `CREATE TABLE file_aliases (
     name text NOT NULL,
     origin text NOT NULL,
     numa_policy text NOT NULL,
     specs jsonb NOT NULL,
     CONSTRAINT file_aliases_pkey PRIMARY KEY (name, origin),
     CONSTRAINT file_aliases_origin_fkey FOREIGN KEY (origin) REFERENCES alias_origins (origin) ON DELETE CASCADE,
     CONSTRAINT file_aliases_numa_policy_check CHECK (numa_policy IN ('required', 'preferred', 'legacy', 'socket'))
   )`,
  `CREATE INDEX file_aliases_origin_idx ON file_aliases (origin)`,
];

const DOWN = ['file_aliases', 'alias_origins', 'alias_versions'].map((table) => `DROP TABLE ${table}`);
