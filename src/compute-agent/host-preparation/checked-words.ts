import { BerthError } from '../../errors.js';

/** Everything that ends in a file which root's programs read goes through one of these. */

const PCI_ID = /^[0-9a-f]{4}:[0-9a-f]{4}$/;
const MODULE = /^[a-z0-9][a-z0-9_-]{0,63}$/i;
const TAG = /^[a-z0-9][a-z0-9_-]{0,63}$/i;
const REMARK_LENGTH_MAX = 160;

/**
 * `10de:1bb0`.
 *
 * @throws BerthError `request.invalid`, as the others here
 */
export function pciId(vendorId: string, productId: string): string {
  return checked(`${vendorId}:${productId}`, PCI_ID, 'a vendor and product id like 10de:1bb0');
}

/** The name of a kernel module, with `_` as in `/proc/modules`. */
export function moduleName(text: string): string {
  return checked(text, MODULE, 'the name of a kernel module').replaceAll('-', '_');
}

/** The name of a MAAS tag. */
export function tagName(text: string): string {
  return checked(text, TAG, 'the name of a MAAS tag: letters, digits, - and _');
}

/** Text of others for a comment: whatever could end a line or a quotation is a question mark. */
export function remark(text: string): string {
  const clipped = text.length > REMARK_LENGTH_MAX ? `${text.slice(0, REMARK_LENGTH_MAX)}...` : text;
  return clipped.replace(/[^\w .,:;()/@+=-]/g, '?');
}

function checked(text: string, form: RegExp, what: string): string {
  if (form.test(text)) return text;
  throw new BerthError('request.invalid', `"${remark(text)}" is not ${what}`);
}
