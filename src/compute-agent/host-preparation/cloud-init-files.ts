import { kernelArguments } from './boot-files.js';
import type { PreparedFile, Preparation } from './preparation.js';

/** The same files for machines that are set up by cloud-init, and for those that Juju sets up on MAAS. */
export function cloudInitFiles(
  preparation: Preparation,
  onHost: readonly PreparedFile[],
  service: string | null,
): PreparedFile[] {
  const commands = [
    '# Whichever of the two the system has: the files above have to be in the initramfs.',
    `- "${REBUILD_INITRAMFS}"`,
    ...(service === null ? [] : [`- "systemctl enable ${service}"`]),
  ];
  const grub = [
    "# The kernel's arguments: from the drop-in above where there is update-grub, else by grubby.",
    `- "if command -v update-grub; then update-grub; elif command -v grubby; then grubby --update-kernel=ALL --args='${kernelArguments(preparation)}'; fi"`,
  ];
  const userData = [
    '#cloud-config',
    '# User data for cloud-init: prepares the host at its first boot, and reboots once for the kernel arguments.',
    ...writeFiles(onHost),
    'runcmd:',
    ...indented([...commands, ...grub]),
    'power_state:',
    '  mode: reboot',
    '  message: PCI passthrough needs its kernel arguments',
  ];
  const juju = [
    '# For Juju: juju model-config cloudinit-userdata="$(cat cloudinit-userdata.yaml)", before machines are added.',
    '# The kernel arguments come with the MAAS tag (maas/create-tag.sh), so that no further reboot is needed.',
    ...writeFiles(onHost.filter(({ path }) => !path.startsWith('etc/default/grub.d/'))),
    'postruncmd:',
    ...indented(commands),
  ];
  return [
    { path: 'cloud-init/user-data', mode: 0o644, text: `${userData.join('\n')}\n` },
    { path: 'juju/cloudinit-userdata.yaml', mode: 0o644, text: `${juju.join('\n')}\n` },
  ];
}

const REBUILD_INITRAMFS =
  'if command -v update-initramfs; then update-initramfs -u -k all; elif command -v dracut; then dracut -f --regenerate-all; fi';

function writeFiles(files: readonly PreparedFile[]): string[] {
  return ['write_files:', ...files.flatMap((file) => indented(writeFile(file)))];
}

/** A literal block: the text stands there as it is, so it has to consist of plain lines, which `boot-files.ts` sees to. */
function writeFile({ path, mode, text }: PreparedFile): string[] {
  return [
    `- path: /${path}`,
    `  permissions: "0${mode.toString(8)}"`,
    '  content: |',
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => (line === '' ? '' : `    ${line}`)),
  ];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}
