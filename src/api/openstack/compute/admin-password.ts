import { randomInt } from 'node:crypto';

const PASSWORD_LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const PASSWORD_LENGTH = 12;

/** A password for a guest, as clients expect one in answers; nothing here hands it to a guest. */
export function adminPassword(): string {
  const letter = (): string => PASSWORD_LETTERS[randomInt(PASSWORD_LETTERS.length)] ?? '';
  return Array.from({ length: PASSWORD_LENGTH }, letter).join('');
}
