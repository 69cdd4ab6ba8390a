import { kernelArguments } from './boot-files.js';
import type { PreparedFile, Preparation } from './preparation.js';

/** MAAS gives a machine the kernel arguments of its tags whenever it deploys it (OpenStack's charms do passthrough so). */
export function maasFile(preparation: Preparation): PreparedFile {
  const { tag, cpu, ids } = preparation;
  const make = cpu === 'intel' ? 'Intel' : 'AMD';
  const lines = [
    '#!/bin/sh',
    '# Makes the MAAS tag and gives it to machines:  PROFILE=admin sh create-tag.sh SYSTEM_ID ...',
    '# Log in first: maas login PROFILE URL API_KEY. A machine gets the arguments when it is deployed the next time.',
    'set -eu',
    ': "${PROFILE:?the name of your MAAS login}"',
    ...ids.map(({ id, from }) => `# ${id}  ${from}`),
    `maas "$PROFILE" tags create name='${tag}' comment='PCI passthrough on ${make}' \\`,
    `  kernel_opts='${kernelArguments(preparation)}'`,
    'for machine in "$@"; do',
    `  maas "$PROFILE" tag update-nodes '${tag}' add="$machine"`,
    'done',
  ];
  return { path: 'maas/create-tag.sh', mode: 0o755, text: `${lines.join('\n')}\n` };
}
