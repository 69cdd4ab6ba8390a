import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { contentHash } from '../../messages/content-hash.js';
import type { PlacementRequest } from '../../placement/request.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { Ledger } from '../../store/ledger.js';
import { NAME_LENGTH_MAX, PLAIN_TEXT } from '../fields.js';
import { RequestRules } from '../request-rules.js';
import type { Caller } from '../identity/caller.js';
import { type FieldError, invalidFields, RequestValidationPipe } from '../request-validation.pipe.js';
import { resolveRequest, type Wisher, wisherOf } from '../servers/resolve-request.js';
import { KEY_LENGTH_MAX, PLACEMENTS_MAX, PlacementWishesBody } from './native-placements.dto.js';

const KEY = /^[\x21-\x7e]{1,255}$/;
/** What is known of a kind of wishes is good for so long: a changed alias or flavor holds for everybody soon after. */
const KNOWN_MS = 200;
const KINDS_MAX = 1_000;
const NAME_DEFAULT = 'placement';

/** One placement of a call, read. */
export type ReadPlacement = {
  readonly key: string | null;
  readonly name: string;
  readonly hash: string;
  readonly kind: string;
} & (
  | { readonly problem: BerthError }
  /** One object for all that have equal wishes; its `serverName` is nobody's. */
  | { readonly problem: null; readonly flavor: FlavorSnapshot | null; readonly request: PlacementRequest }
);

/** What all placements with equal wishes have in common. */
interface Kind {
  readonly hash: string;
  readonly readAtMs: number;
  readonly resolved: Promise<
    | { readonly problem: BerthError }
    | { readonly problem: null; readonly flavor: FlavorSnapshot | null; readonly request: PlacementRequest }
  >;
}

interface Item {
  readonly key: string | null;
  readonly name: string;
  readonly wishes: object;
  readonly kind: string;
}

/** Reads the placements of a call. Equal wishes are checked and resolved once. */
@Injectable()
export class PlacementWishes {
  private readonly pipe = new RequestValidationPipe();
  private readonly kinds = new Map<string, Kind>();

  constructor(
    private readonly ledger: Ledger,
    private readonly rules: RequestRules,
  ) {}

  /**
   * What is wrong with the wishes of one, beyond their form, is its own `problem`.
   *
   * @throws BerthError `request.invalid`, naming the fields, when the form of one is not right
   */
  async read(caller: Caller, body: unknown): Promise<ReadPlacement[]> {
    const items = itemsOf(caller, body);
    await this.checkKinds(wisherOf(caller, NAME_DEFAULT), items);
    return Promise.all(
      items.map(async ({ key, name, kind }) => {
        const { hash, resolved } = this.kinds.get(kind) as Kind;
        const known = await resolved;
        if (known.problem) return { key, name, hash, kind, problem: known.problem };
        return { key, name, hash, kind, problem: null, flavor: known.flavor, request: known.request };
      }),
    );
  }

  private async checkKinds(wisher: Wisher, items: readonly Item[]): Promise<void> {
    const nowMs = Date.now();
    const errors: FieldError[] = [];
    for (const [index, { kind, wishes }] of items.entries()) {
      const known = this.kinds.get(kind);
      if (known && nowMs - known.readAtMs < KNOWN_MS) continue;
      try {
        const checked = await this.checked(wishes);
        if (this.kinds.size >= KINDS_MAX + PLACEMENTS_MAX) this.forgetOldest();
        this.kinds.delete(kind);
        const resolved = this.resolve(wisher, checked);
        resolved.catch(() => undefined); // whoever waits for it is told
        this.kinds.set(kind, { hash: contentHash(wishes), readAtMs: nowMs, resolved });
      } catch (error) {
        errors.push(...within(`placements[${index}]`, error));
      }
    }
    if (errors.length > 0) throw invalidFields(errors);
  }

  private forgetOldest(): void {
    for (const kind of this.kinds.keys()) {
      if (this.kinds.size <= KINDS_MAX) return;
      this.kinds.delete(kind);
    }
  }

  private async checked(wishes: object): Promise<PlacementWishesBody> {
    const metadata = { type: 'body', metatype: PlacementWishesBody } as const;
    const body = (await this.pipe.transform(wishes, metadata)) as PlacementWishesBody;
    if (body.flavor !== undefined && body.flavor !== null) return body;
    return { ...body, vcpus: body.vcpus ?? 0, ram_mb: body.ram_mb ?? 0, disk_gb: body.disk_gb ?? 0 };
  }

  private async resolve(wisher: Wisher, wishes: PlacementWishesBody): Kind['resolved'] {
    try {
      return { problem: null, ...(await resolveRequest(this.ledger.pool, wisher, wishes, this.rules)) };
    } catch (error) {
      if (error instanceof BerthError) return { problem: error };
      throw error;
    }
  }
}

function itemsOf(caller: Caller, body: unknown): Item[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidFields([{ field: '', problem: 'the body has to be a JSON object with `placements`' }]);
  }
  const stray = Object.keys(body).find((field) => field !== 'placements');
  if (stray !== undefined) throw invalidFields([{ field: stray, problem: 'is not known here; known are placements' }]);
  const { placements } = body as { placements?: unknown };
  if (!Array.isArray(placements) || placements.length < 1 || placements.length > PLACEMENTS_MAX) {
    throw invalidFields([{ field: 'placements', problem: `has to be a list of 1 to ${PLACEMENTS_MAX} placements` }]);
  }
  const errors: FieldError[] = [];
  const items = placements.map((item: unknown, index) => itemOf(item, `placements[${index}]`, errors));
  if (errors.length > 0) throw invalidFields(errors);
  const { projectId, anyFlavor } = wisherOf(caller, NAME_DEFAULT);
  return items.map((item) => ({ ...item, kind: `${projectId}\0${anyFlavor}\0${item.kind}` }));
}

function itemOf(item: unknown, field: string, errors: FieldError[]): Item {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    errors.push({ field, problem: 'has to be an object' });
    return { key: null, name: '', wishes: {}, kind: '' };
  }
  const { key = null, name = null, ...wishes } = item as { key?: unknown; name?: unknown };
  if (key !== null && !(typeof key === 'string' && KEY.test(key))) {
    errors.push({ field: `${field}.key`, problem: `has to be 1 to ${KEY_LENGTH_MAX} visible ASCII characters` });
  }
  if (name !== null && !isName(name)) {
    errors.push({ field: `${field}.name`, problem: `has to be a text of 1 to ${NAME_LENGTH_MAX} characters` });
  }
  const shown = (name ?? key ?? NAME_DEFAULT) as string;
  return { key: key as string | null, name: shown, wishes, kind: JSON.stringify(wishes) };
}

function isName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name.length > 0 &&
    name.length <= NAME_LENGTH_MAX &&
    PLAIN_TEXT.test(name) &&
    /\S/.test(name)
  );
}

function within(path: string, error: unknown): FieldError[] {
  const errors = error instanceof BerthError ? (error.details['errors'] as FieldError[] | undefined) : undefined;
  if (!errors) throw error;
  return errors.map(({ field, problem }) => ({ field: field === '' ? path : `${path}.${field}`, problem }));
}
