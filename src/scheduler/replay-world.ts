import { applyPlacement } from '../placement/apply-placement.js';
import type { Decision, Placement } from '../placement/decision.js';
import { thawHost, type HostFacts } from '../placement/frozen-snapshot.js';
import { place } from '../placement/place.js';
import { placeTogether } from '../placement/place-together.js';
import type { HostSnapshot, PlacementPolicy } from '../placement/snapshot.js';
import type { DecisionBody, DecisionMember, HostBody } from '../batches/decision-recorder-bodies.js';

/** All hosts as a scheduler saw them at one moment of its journal. */
export class ReplayWorld {
  policy: PlacementPolicy | null = null;
  private readonly list: HostSnapshot[] = [];
  private readonly places = new Map<string, number>();
  private isSorted = true;

  /** @param engine version of the engine that decided then */
  constructor(readonly engine: number) {}

  /** In name order. The array is the world's own. */
  get hosts(): readonly HostSnapshot[] {
    if (this.isSorted) return this.list;
    this.list.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const [place, { id }] of this.list.entries()) this.places.set(id, place);
    this.isSorted = true;
    return this.list;
  }

  becomes({ state }: HostBody, facts: HostFacts): void {
    this.put(thawHost(facts, state));
  }

  /**
   * What the engine says today.
   *
   * @throws Error when the journal says no policy before
   */
  decide({ together, members }: DecisionBody): Decision[] {
    const { hosts, policy } = this;
    if (policy === null) throw new Error('the journal has no policy before its first decision');
    const snapshot = { hosts, policy };
    if (together === null) return members.map(({ request, excluded }) => place(snapshot, request, excluded));
    const asked = members.map((member) => ({ ...member, owner: ownerOf(member) }));
    return placeTogether(snapshot, asked, together);
  }

  /**
   * What was decided then takes its place.
   *
   * @throws Error when it cannot
   */
  goOn({ members }: DecisionBody): void {
    for (const member of members) {
      const { chosen, request } = member;
      if (chosen.outcome !== 'placed') continue;
      const host = this.list[this.places.get(chosen.hostId) ?? -1];
      if (!host) throw new Error(`host ${chosen.hostName} is not in the journal`);
      const placement: Placement = { ...chosen, scores: [], rejections: [] };
      this.put(applyPlacement(host, placement, request, ownerOf(member)));
    }
  }

  private put(host: HostSnapshot): void {
    const place = this.places.get(host.id);
    if (place !== undefined) {
      this.list[place] = host;
      return;
    }
    this.places.set(host.id, this.list.push(host) - 1);
    this.isSorted = false;
  }
}

function ownerOf(member: DecisionMember): { serverId: string; serverName: string } {
  return { serverId: member.server_id, serverName: member.server_name };
}
