import { metadataProblem, NeededField } from './server-fields.js';

const TEXTS = { type: 'object', additionalProperties: { type: 'string' } } as const;

export class ServerMetadataBody {
  @NeededField(TEXTS, metadataProblem) metadata: Readonly<Record<string, string>>;
}

function oneItemProblem(value: unknown): string | null {
  const problem = metadataProblem(value);
  if (problem !== null) return problem;
  return Object.keys(value as object).length === 1 ? null : 'has to have one key';
}

export class ServerMetadataItemBody {
  @NeededField(TEXTS, oneItemProblem) meta: Readonly<Record<string, string>>;
}
