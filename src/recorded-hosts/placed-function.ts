import type { Card } from './description.js';

/** One function, where the description puts it. */
export interface PlacedFunction {
  readonly address: string;
  readonly bus: number;
  /** From the tree's root: `sys/devices/pci0000:80/0000:80:02.0/0000:83:00.0`. */
  readonly directory: string;
  readonly card: Card;
  readonly driver: string | null;
  readonly numaNode: number | null;
  /** Of a bridge: the buses behind it. */
  readonly behind: { readonly secondary: number; readonly subordinate: number } | null;
  /** The bridge above it; null on a root bus. */
  readonly above: PlacedFunction | null;
  /** Of a VF. */
  readonly physicalFunction: PlacedFunction | null;
  readonly vfs: number;
  readonly vfDriver: string | null;
  readonly vfIndex: number | null;
  readonly interfaceName: string | null;
  readonly serialNumber: string | null;
}
