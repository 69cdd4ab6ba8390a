import { Injectable } from '@nestjs/common';
import { BerthError } from '../../errors.js';
import { DEVICES_PER_SERVER_MAX } from '../../placement/request.js';
import { askToAttach } from '../../store/attach.store.js';
import { sendRelease } from '../../store/claim-outcomes.store.js';
import type { Tx } from '../../store/database.js';
import { type HeldDevice, readHeldDevices, splitForDetach } from '../../store/detach.store.js';
import { Ledger } from '../../store/ledger.js';
import { lockServer, type LockedServer, nudgeServer } from '../../store/servers.store.js';
import { type Caller, mayKnow } from '../identity/caller.js';
import { assertDevicesWithinQuota } from '../quotas/quota-check.js';
import { RequestRules } from '../request-rules.js';
import { invalidFields } from '../request-validation.pipe.js';
import { resolveRequest } from './resolve-request.js';
import type { AttachBody, DetachView } from './server-devices.dto.js';
import { unknownServer } from './servers.service.js';

/** Devices that come to a running server, or leave it. */
@Injectable()
export class ServerDevicesService {
  constructor(
    private readonly ledger: Ledger,
    private readonly rules: RequestRules,
  ) {}

  /**
   * Writes the wish; the scheduler finds the devices, on the server's own host.
   *
   * @throws BerthError `server.unknown`, `server.invalid_status`, `server.invalid`, `alias.unknown`, `quota.exceeded`
   */
  async attach(caller: Caller, id: string, body: AttachBody): Promise<void> {
    const { devices: wanted } = body;
    if (wanted === undefined || wanted === null || wanted.length === 0) {
      throw invalidFields([{ field: 'devices', problem: 'has to name devices, like "gpu:1"' }]);
    }
    await this.ledger.transaction(async (tx) => {
      const { projectId } = await assertAtRest(tx, caller, id);
      const { request } = await resolveRequest(
        tx,
        { name: 'attach', projectId, anyFlavor: false },
        { devices: wanted },
        this.rules,
      );
      const held = (await readHeldDevices(tx, id)).length;
      const more = request.devices.reduce((sum, { count, countMax = count }) => sum + countMax, 0);
      if (held + more > DEVICES_PER_SERVER_MAX) {
        const problem = `it has ${held} devices, and ${more} more would be above ${DEVICES_PER_SERVER_MAX}`;
        throw new BerthError('server.invalid', `Server ${id}: ${problem}`);
      }
      await assertDevicesWithinQuota(tx, request);
      await askToAttach(tx, id, request.devices);
      await nudgeServer(tx, id);
    });
  }

  /**
   * Has the agent take the device back, with all that shares its IOMMU group.
   *
   * @param which.force also when something else that was asked for goes along
   * @throws BerthError `server.unknown`, `server.invalid_status`, `server.device_unknown`, `device.wanted`
   */
  detach(
    caller: Caller,
    id: string,
    { deviceId, force }: { readonly deviceId: string; readonly force: boolean },
  ): Promise<DetachView> {
    return this.ledger.transaction(async (tx) => {
      await assertAtRest(tx, caller, id);
      const held = await readHeldDevices(tx, id);
      const device = held.find((one) => one.device_id === deviceId);
      if (!device) throw new BerthError('server.device_unknown', `Server ${id} has no device with the id ${deviceId}`);
      const unit = held.filter((one) => one === device || sharesGroup(one, device));
      if (!force) assertUnwanted(device, unit);
      const claim = await splitForDetach(tx, id, unit);
      await sendRelease(tx, { id: claim.id, serverId: id, hostName: claim.hostName });
      return {
        detaching: unit.map(({ device_id, address, request_index }) => ({
          device_id,
          address,
          companion: request_index === null,
        })),
      };
    });
  }
}

async function assertAtRest(tx: Tx, caller: Caller, id: string): Promise<LockedServer> {
  const server = await lockServer(tx, id);
  if (!server || server.status === 'DELETED' || !mayKnow(caller, server.projectId)) throw unknownServer(id);
  if (server.status === 'ACTIVE' && server.taskState === null) return server;
  const doing = server.taskState === null ? server.status : `${server.status} (${server.taskState})`;
  throw new BerthError('server.invalid_status', `Server ${id} is ${doing}; it has to be ACTIVE and at rest`);
}

function sharesGroup(a: HeldDevice, b: HeldDevice): boolean {
  return a.claim_id === b.claim_id && a.iommu_group !== null && a.iommu_group === b.iommu_group;
}

function assertUnwanted(device: HeldDevice, unit: readonly HeldDevice[]): void {
  const wanted = unit.filter((one) => one !== device && one.request_index !== null);
  if (wanted.length === 0) return;
  const named = wanted.map(({ address, alias }) => (alias === null ? address : `${address} (${alias})`)).join(', ');
  throw new BerthError(
    'device.wanted',
    `${device.address} shares its IOMMU group with ${named}, which the server asked for too; force=true takes all of them`,
  );
}
