const FIELD_BYTES_MAX = 255;

/** The Vital Product Data of a card: its name, a read-only section with serial number and checksum, the end tag. */
export function vitalProductData(name: string, serialNumber: string): Uint8Array {
  const fields = [...field('PN', 'BERTH'), ...field('SN', serialNumber)];
  const readOnly = section(0x90, [...fields, ...field('RV', '\0\0')]);
  const bytes = [...section(0x82, latin(name)), ...readOnly, 0x78];
  const checksum = bytes.length - 3; // the first byte of RV: after it come its second one and the end tag
  bytes[checksum] = -bytes.slice(0, checksum).reduce((sum, byte) => sum + byte, 0) & 0xff;
  return Uint8Array.from(bytes);
}

function section(tag: number, content: readonly number[]): number[] {
  return [tag, content.length & 0xff, content.length >> 8, ...content];
}

function field(keyword: string, value: string): number[] {
  const bytes = latin(value).slice(0, FIELD_BYTES_MAX);
  return [...latin(keyword), bytes.length, ...bytes];
}

function latin(text: string): number[] {
  return [...Buffer.from(text, 'latin1')];
}
