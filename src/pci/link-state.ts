import { speedOf } from './device-attributes.js';
import type { PciDevice } from './device.js';

/** How a link works at a moment. null: not known, or says nothing. */
export interface Link {
  readonly width: number | null;
  readonly speedGts: number | null;
}

/** Display controllers (03) and accelerators (12) slow their links down at rest: their speed of the moment says nothing. */
const SLOW_AT_REST = /^(?:03|12)/;

/** null: the device says nothing of its link now. */
export function readLink({ link, classCode }: Pick<PciDevice, 'link' | 'classCode'>): Link | null {
  const width = link?.currentWidth ?? null;
  const speedGts = SLOW_AT_REST.test(classCode) ? null : speedOf(link?.currentSpeed ?? null);
  return (width === null || width === 0) && speedGts === null ? null : { width: width === 0 ? null : width, speedGts };
}

export function bestOf(a: Link, b: Link): Link {
  return { width: greater(a.width, b.width), speedGts: greater(a.speedGts, b.speedGts) };
}

/** Whether it has fewer lanes, or is slower, than it has been. */
export function isLess(now: Link, best: Link): boolean {
  return below(now.width, best.width) || below(now.speedGts, best.speedGts);
}

/** `16 GT/s x16`. */
export function wordsOf({ width, speedGts }: Link): string {
  const words = [...(speedGts === null ? [] : [`${speedGts} GT/s`]), ...(width === null ? [] : [`x${width}`])];
  return words.join(' ');
}

function greater(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

function below(now: number | null, best: number | null): boolean {
  return now !== null && best !== null && now < best;
}
