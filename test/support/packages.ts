import { chmodSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

import { beforeDeath, run } from './processes.js';

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_FORBIDS = 101;
const UPDATE_TIMEOUT_MS = 300_000;
const INSTALL_TIMEOUT_MS = 900_000;

/**
 * Installs packages of the distribution without starting what they serve.
 *
 * @param what for people: what is missing on this machine
 * @returns null, or why it cannot be done
 */
export async function installPackages(what: string, packages: readonly string[]): Promise<string | null> {
  if (process.getuid?.() !== 0) return `${packages.join(', ')} cannot be installed (that needs root)`;
  if (!existsSync('/usr/bin/apt-get')) return `${packages.join(', ')} cannot be installed (there is no apt-get)`;
  process.stderr.write(`${what} is not on this machine: installing ${packages.join(', ')} …\n`);
  const startedAt = Date.now();
  const allowStarts = await forbidStarts();
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, maxBuffer: 64 * 1024 * 1024 };
  try {
    const lock = ['-o', 'DPkg::Lock::Timeout=600'];
    // Without fresh lists the install may still go well.
    await run('apt-get', ['update', '-qq'], { ...options, timeout: UPDATE_TIMEOUT_MS }).catch(() => undefined);
    const words = [...lock, 'install', '-y', '-qq', '--no-install-recommends', ...packages];
    await run('apt-get', words, { ...options, timeout: INSTALL_TIMEOUT_MS });
    process.stderr.write(`${what} is installed (${Math.round((Date.now() - startedAt) / 1000)} s).\n`);
    return null;
  } catch (error) {
    return `apt-get could not install ${packages.join(', ')} (${lastLineOf(error)})`;
  } finally {
    allowStarts();
  }
}

/**
 * Keeps the package from starting a service of its own on the well-known port, by Debian's way to say so.
 *
 * @returns puts things back as they were
 */
async function forbidStarts(): Promise<() => void> {
  if (await startsAreForbidden()) return () => undefined;
  const saved = `${POLICY}.before-berth`;
  if (existsSync(POLICY)) renameSync(POLICY, saved);
  writeFileSync(POLICY, `#!/bin/sh\nexit ${POLICY_FORBIDS}\n`);
  chmodSync(POLICY, 0o755);
  const putBack = (): void => {
    rmSync(POLICY, { force: true });
    if (existsSync(saved)) renameSync(saved, POLICY);
  };
  const forget = beforeDeath(putBack);
  return () => {
    forget();
    putBack();
  };
}

async function startsAreForbidden(): Promise<boolean> {
  if (!existsSync(POLICY) || (statSync(POLICY).mode & 0o100) === 0) return false;
  if (readFileSync(POLICY, 'utf8').length === 0) return false;
  const code = await run(POLICY, ['rabbitmq-server', 'start'], { timeout: 10_000 }).then(
    () => 0,
    (error: { code?: unknown }) => error.code,
  );
  return code === POLICY_FORBIDS;
}

/** What a program that failed said last. */
export function lastLineOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr?.trim() || message || 'unknown').trim().split('\n').slice(-1)[0] ?? 'unknown';
}
