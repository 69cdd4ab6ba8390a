/** One file of an archive; parents come before what is in them. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
  /** Of a file its content, of a link where it leads. */
  readonly data?: Buffer | string;
  /** Permission bits; by default a directory's or a program's. */
  readonly mode?: number;
}

const TYPE_BITS = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const;
const TRAILER = 'TRAILER!!!';

/** An archive as the kernel unpacks it at its start: cpio's format `newc`, everything root's. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => member(entry, index + 1));
  return Buffer.concat([...parts, ...member({ path: TRAILER, kind: 'file', mode: 0 }, 0)]);
}

/** Header and name together, and the data, each fill up to four bytes. */
function member({ path, kind, data = '', mode = 0o755 }: CpioEntry, inode: number): Buffer[] {
  const content = Buffer.from(data);
  const name = Buffer.from(`${path}\0`);
  const fields = [
    inode,
    path === TRAILER ? 0 : TYPE_BITS[kind] | mode,
    0, // user
    0, // group
    1, // links
    0, // time of change
    content.length,
    0, // device, major and minor number
    0,
    0, // number of a device file, major and minor
    0,
    name.length,
    0, // checksum, which newc does not have
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [padded(Buffer.concat([header, name])), padded(content)];
}

function padded(bytes: Buffer): Buffer {
  const missing = (4 - (bytes.length % 4)) % 4;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
