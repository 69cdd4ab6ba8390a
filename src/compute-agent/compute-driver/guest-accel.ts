import { accessSync, constants } from 'node:fs';
import type { GuestSettings } from '../../settings/settings.js';

/** Whether guests run on the processor itself, or are emulated. */
export function accelOf({ accel }: Pick<GuestSettings, 'accel'>): 'kvm' | 'tcg' {
  if (accel !== 'auto') return accel;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return 'kvm';
  } catch {
    return 'tcg';
  }
}
