/** A network interface as it was before its device went to a server. */
export interface NetdevRecord {
  readonly name: string;
  readonly mac: string | null;
  readonly mtu: number | null;
  readonly isUp: boolean;
  /** The device that it is of, as its bus calls it; null: not known. */
  readonly parent: string | null;
}

/** Others could be taken for something else. Also of a value that was read from a file. */
export function isNetdevName(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_][\w.:+-]{0,14}$/.test(value);
}
