import { run } from './processes.js';

const INSTALL_TIMEOUT_MS = 300_000;

/**
 * Makes sure of `lspci`: the distribution's package pciutils is installed where this process may do so.
 *
 * @throws Error that says what to do
 */
export async function needLspci(): Promise<void> {
  if (await answers()) return;
  let reason = 'only root can install it, and this process is not root';
  if (process.getuid?.() === 0) {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...words: string[]): Promise<unknown> =>
      run('apt-get', words, { env: environment, timeout: INSTALL_TIMEOUT_MS });
    const install = (): Promise<unknown> => apt('install', '-y', '--no-install-recommends', 'pciutils');
    const failed = await install()
      .catch(async () => {
        await apt('update');
        return install();
      })
      .then(
        () => null,
        (error: Error) => error,
      );
    if (await answers()) return;
    reason = failed?.message ?? 'it was installed, but does not start';
  }
  throw new Error(`This test needs lspci. Install the package pciutils (Debian: apt-get install pciutils): ${reason}`);
}

function answers(): Promise<boolean> {
  return run('lspci', ['--version']).then(
    () => true,
    () => false,
  );
}
