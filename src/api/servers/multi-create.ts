import { ApiProperty } from '@nestjs/swagger';
import type { PlacementRequest } from '../../placement/request.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import type { NewServer } from '../../store/servers.store.js';
import { NAME_LENGTH_MAX } from '../fields.js';
import { invalidFields } from '../request-validation.pipe.js';
import { ServerView } from './server.views.js';
import type { ServerBody } from './servers.dto.js';

export class CreatedLinkView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String, example: 'training-1' }) readonly name: string;
  @ApiProperty({ type: String, example: '/v1/servers/8f3b…' }) readonly href: string;
}

/** The first server of a call, and where all of them are. */
export class CreatedServerView extends ServerView {
  @ApiProperty({
    type: [CreatedLinkView],
    required: false,
    description: 'All servers of a call that asks for several.',
  })
  readonly servers?: readonly CreatedLinkView[];
}

/** How many servers a call asks for, at most. */
export function countOf({ min_count, max_count }: ServerBody): number {
  return max_count ?? min_count ?? 1;
}

/**
 * The servers of one call; with more than one, the names have Nova's suffixes `-1`, `-2`, ….
 *
 * @param ids one for each server
 * @throws BerthError `request.invalid` when a name becomes too long
 */
export function newServers(
  body: ServerBody,
  ids: readonly string[],
  { flavor, request }: { readonly flavor: FlavorSnapshot | null; readonly request: PlacementRequest },
): NewServer[] {
  const waits = body.wait ?? false;
  const [first = ''] = ids;
  if (ids.length === 1) return [{ id: first, flavor, request, waits, gang: null }];
  assertNameFits(request.serverName, ids.length);
  return ids.map((id, index) => ({
    id,
    flavor,
    request: { ...request, serverName: `${request.serverName}-${index + 1}` },
    waits,
    gang: { id: first, countMin: body.min_count ?? 1, place: index + 1 },
  }));
}

export function createdLink({ id, name }: { readonly id: string; readonly name: string }): CreatedLinkView {
  return { id, name, href: `/v1/servers/${id}` };
}

function assertNameFits(name: string, count: number): void {
  const lengthMax = NAME_LENGTH_MAX - `-${count}`.length;
  if (name.length <= lengthMax) return;
  const problem = `has ${name.length} characters; at most ${lengthMax}, because names of several servers get a number each`;
  throw invalidFields([{ field: 'name', problem }]);
}
