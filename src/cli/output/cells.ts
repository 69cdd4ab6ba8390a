/** What stands in a column or a field: anything that JSON can say. */
export type Cell = unknown;

/** Of terminals: what was reported by a host may hold anything. */
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g;

/** A value for people: lists with commas, mappings as `key='value'`, lists of mappings one on a line. */
export function cellText(value: Cell): string {
  return nested(value).replace(CONTROLS, '�');
}

function nested(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== 'object' || item === null);
    return value.map(nested).join(isPlain ? ', ' : '\n');
  }
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .filter(([, item]) => item !== null && item !== undefined)
    .map(([key, item]) => `${key}=${inMapping(item)}`)
    .join(', ');
}

function inMapping(value: Cell): string {
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A value for scripts, on one line: what is not a plain value is JSON. */
export function plainText(value: Cell): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replace(/\r?\n/g, ' ').replace(CONTROLS, '�');
}

const WRITTEN: Readonly<Record<string, string>> = {
  ...{ id: 'ID', ram: 'RAM', mb: 'MB', gb: 'GB', numa: 'NUMA', iommu: 'IOMMU', vfs: 'VFs', vcpus: 'VCPUs' },
};

/** `numa_node` is headed `NUMA Node`. */
export function titleOf(name: string): string {
  return name
    .split('_')
    .map((word) => WRITTEN[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}
