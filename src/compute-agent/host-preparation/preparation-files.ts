import { bootFiles, SERVICE } from './boot-files.js';
import { cloudInitFiles } from './cloud-init-files.js';
import { maasFile } from './maas-file.js';
import type { PreparedFile, Preparation } from './preparation.js';
import { readmeFile } from './readme-file.js';

/** The files that prepare a host. The same preparation always gives the same files. */
export function preparationFiles(preparation: Preparation): PreparedFile[] {
  const onHost = bootFiles(preparation);
  return [
    ...onHost,
    ...cloudInitFiles(preparation, onHost, onHost.some(({ path }) => path.endsWith(SERVICE)) ? SERVICE : null),
    maasFile(preparation),
    readmeFile(preparation, onHost),
  ];
}
