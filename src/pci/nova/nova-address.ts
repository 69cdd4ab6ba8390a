import { compileRegex } from '../device-spec/device-spec-address.js';
import type { AddressDigits, AddressPattern, ComponentPattern } from '../device-spec/device-spec-address.js';
import { clip, kindOf } from '../device-spec/device-spec-fields.js';
import { novaError } from '../dialect.js';
import { novaHex, novaInteger, novaStrip } from './nova-values.js';

type ComponentName = keyof AddressPattern;

const LIMITS: Readonly<Record<ComponentName, number>> = { domain: 0xffff, bus: 0xff, slot: 0x1f, function: 7 };
const WIDTHS: Readonly<Record<ComponentName, number>> = { domain: 4, bus: 2, slot: 2, function: 1 };
const TEXT_LENGTH_MAX = 1024;

/**
 * The digits of a whole address, four, two, two and one, whatever the width of those that go in. 32-bit domains are refused.
 *
 * @throws BerthError `device_spec.invalid`
 */
export function parseNovaAddress(text: unknown): AddressDigits {
  if (typeof text !== 'string')
    throw novaError('device_spec.invalid', null, `an address has to be a text, not ${kindOf(text)}`);
  const dot = text.indexOf('.');
  const fields = (dot < 0 ? text : text.slice(0, dot)).split(':');
  if (fields.length !== 3) throw wrongFormat(text);
  const [domain = '', bus = '', slot = ''] = fields;
  return {
    domain: hexOf('domain', domain, text),
    bus: hexOf('bus', bus, text),
    slot: hexOf('slot', slot, text),
    function: hexOf('function', dot < 0 ? '' : text.slice(dot + 1), text),
  };
}

/**
 * `[[[domain]:]bus]:][slot][.[function]]`; a part that is empty or `*` means any.
 *
 * @throws BerthError `device_spec.invalid`
 */
export function parseNovaAddressText(text: string): AddressPattern {
  if (text.length > TEXT_LENGTH_MAX) throw wrongFormat(text);
  const dot = text.indexOf('.');
  // the function comes first, and blanks are nothing that it may consist of
  const fn = dot < 0 || dot === text.length - 1 ? '*' : novaStrip(text.slice(dot + 1));
  const ofFunction: ComponentPattern =
    fn === '*' ? { kind: 'any' } : { kind: 'exact', digits: hexOf('function', fn, text) };
  const fields = (dot < 0 ? text : text.slice(0, dot)).split(':');
  if (fields.length > 3) throw wrongFormat(text);
  const [domain, bus, slot] = [...Array<string>(3 - fields.length).fill('*'), ...fields];
  const read = (name: ComponentName, field: string | undefined): ComponentPattern => {
    const stripped = novaStrip(field ?? '');
    if (stripped === '' || stripped === '*') return { kind: 'any' };
    return { kind: 'exact', digits: hexOf(name, stripped, text) };
  };
  return {
    domain: read('domain', domain),
    bus: read('bus', bus),
    slot: read('slot', slot),
    function: ofFunction,
  };
}

/**
 * An object of regexes, each anchored at the start only; other keys are passed over.
 *
 * @throws BerthError `device_spec.invalid`
 */
export function parseNovaRegexes(value: Readonly<Record<string, unknown>>): AddressPattern {
  const read = (name: ComponentName): ComponentPattern => {
    const source = Object.hasOwn(value, name) ? value[name] : '.*';
    if (typeof source !== 'string') {
      throw novaError(
        'device_spec.invalid',
        null,
        `address.${name}: has to be a regex in quotes, not ${kindOf(source)}`,
      );
    }
    if (source.length > TEXT_LENGTH_MAX) throw wrongFormat(source);
    try {
      compileRegex({ kind: 'prefix', source });
    } catch {
      throw novaError(
        'device_spec.invalid',
        'PciDeviceWrongAddressFormat',
        `address.${name}: "${clip(source)}" is not a regex`,
      );
    }
    return { kind: 'prefix', source };
  };
  return { domain: read('domain'), bus: read('bus'), slot: read('slot'), function: read('function') };
}

function hexOf(name: ComponentName, field: string, text: string): string {
  // Nova's parser of whole addresses lets a star pass, which then is just that
  if (field === '*') return field;
  const number = novaInteger(field, 16);
  if (number === null) {
    throw novaError(
      'device_spec.invalid',
      'PciConfigInvalidSpec',
      `address: the ${name} "${clip(field)}" of "${clip(text)}" is not hex`,
    );
  }
  if (number > LIMITS[name]) {
    const most = LIMITS[name].toString(16);
    throw novaError(
      'device_spec.invalid',
      'PciConfigInvalidSpec',
      `address: the ${name} "${clip(field)}" of "${clip(text)}" is above ${most}`,
    );
  }
  return novaHex(number, WIDTHS[name]);
}

function wrongFormat(text: string): Error {
  const message = `address: "${clip(text)}" is not domain:bus:slot.function, like "0000:81:00.0"`;
  return novaError('device_spec.invalid', 'PciDeviceWrongAddressFormat', message);
}

/** The address that the pattern spells out in hex digits, in a regex or not; null: it means more than one, or none. */
export function spelledAddress(pattern: AddressPattern): string | null {
  const text = (component: ComponentPattern): string =>
    component.kind === 'any' ? '*' : component.kind === 'exact' ? component.digits : component.source;
  const parts = [pattern.domain, pattern.bus, pattern.slot, pattern.function].map(text);
  return parts.every((part) => /^[0-9a-f]+$/i.test(part)) ? `${parts.slice(0, 3).join(':')}.${parts[3]}` : null;
}
