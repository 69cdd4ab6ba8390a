const MB_PER_GB = 1024;

/** What a server of a flavor takes of a host's disk, in GB: swap is rounded up, as Nova does. */
export function wholeDiskGb(flavor: {
  readonly disk_gb: number;
  readonly ephemeral_gb?: number;
  readonly swap_mb?: number;
}): number {
  const { disk_gb, ephemeral_gb = 0, swap_mb = 0 } = flavor;
  return disk_gb + ephemeral_gb + Math.ceil(swap_mb / MB_PER_GB);
}
