import type { PreparedFile, Preparation } from './preparation.js';

/** What is in the folder, how it is installed and how that is undone. */
export function readmeFile({ cpu, notes, ids, addresses }: Preparation, onHost: readonly PreparedFile[]): PreparedFile {
  const lines = [
    `PCI passthrough on a host with ${cpu === 'intel' ? 'an Intel' : 'an AMD'} CPU. Nothing here is installed yet.`,
    '',
    'Take one of these:',
    '  by hand      copy etc/ to /etc, then update-initramfs -u -k all && update-grub (Debian, Ubuntu),',
    "               or dracut -f --regenerate-all and grubby --update-kernel=ALL --args='...' (Fedora, RHEL); reboot",
    '  cloud-init   give cloud-init/user-data to the machine when it is made',
    '  MAAS         maas/create-tag.sh for the kernel arguments, and, with Juju, juju/cloudinit-userdata.yaml',
    'Afterwards: berth host check on the host.',
    '',
    'For the host:',
    ...onHost.map(({ path }) => `  /${path}`),
    'To undo it remove these files, make the initramfs and GRUB configuration anew, and reboot.',
    '',
    ...(ids.length > 0
      ? ['Taken at boot, all devices with the ids:', ...ids.map(({ id, from }) => `  ${id}  ${from}`)]
      : []),
    ...(addresses.length > 0 ? ['Taken at boot, by address:', ...addresses.map((address) => `  ${address}`)] : []),
    ...(notes.length > 0 ? ['', 'Mind:', ...notes.map((note) => `  - ${note}`)] : []),
  ];
  return { path: 'README.txt', mode: 0o644, text: `${lines.join('\n')}\n` };
}
