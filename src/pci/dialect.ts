import { BerthError } from '../errors.js';
import type { ErrorCode } from '../errors.js';

/**
 * How configuration is read and devices are chosen: `strict` is Berth's own way, `nova` is that of Nova 26.2 to the
 * letter, oddities included (`docs/compatibility.md` has every difference).
 */
export const DIALECTS = ['strict', 'nova'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** What Nova calls an error; null where Nova itself breaks off with an error of Python's. */
export type NovaException =
  | 'PciConfigInvalidSpec'
  | 'PciDeviceInvalidDeviceName'
  | 'PciDeviceWrongAddressFormat'
  | 'PciDeviceRemoteManagedNotPresent'
  | 'PciDeviceInvalidPFRemoteManaged'
  | 'PciDeviceNotFoundById'
  | 'PciInvalidAlias'
  | 'PciRequestAliasNotDefined'
  | 'InvalidRequest'
  | 'InvalidPCINUMAAffinity'
  | 'ImagePCINUMAPolicyForbidden'
  | 'PciDeviceRequestFailed'
  | 'PciDevicePoolEmpty'
  | null;

/** A refusal of the nova dialect: `details.exception` has Nova's name for it. */
export function novaError(code: ErrorCode, exception: NovaException, message: string): BerthError {
  return new BerthError(code, message, { details: { exception } });
}
