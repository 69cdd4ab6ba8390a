import { isIP } from 'node:net';

/** Whether an address, or the name `localhost`, can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name === '::1') return true;
  return isIP(name) === 4 && name.startsWith('127.');
}

/** The same of a Host header, which may have a port. */
export function isLoopbackHost(header: string): boolean {
  return isLoopback(header.replace(/:\d{1,5}$/, ''));
}
