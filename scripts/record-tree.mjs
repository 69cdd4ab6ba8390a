// Records what a host's kernel says of its PCI devices, as a file that Berth can be tried on elsewhere:
//
//   node scripts/record-tree.mjs /            my-host.tree.json.gz      this machine; as root, or `config` is cut short
//   node scripts/record-tree.mjs DIRECTORY    my-host.tree.json.gz      an extracted capture with sys/ and proc/
//
// Only reads. Device memory, firmware and `vpd` (serial numbers) are not read; MAC addresses are in it.
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';

const ENDING = '.tree.json.gz';
const [root, file] = process.argv.slice(2);
if (root === undefined || !file?.endsWith(ENDING)) {
  console.error(`usage: node scripts/record-tree.mjs ROOT NAME${ENDING}`);
  process.exit(2);
}

const { recordHost } = await built('record.js');
const { packTree } = await built('tree.js');
const tree = await recordHost(root, basename(file, ENDING));
if (!tree.entries.some((entry) => entry.path === 'sys/bus/pci/devices')) {
  console.error(`${root} has no sys/bus/pci/devices: it is neither / nor a capture`);
  process.exit(1);
}
const packed = packTree(tree);
await writeFile(file, packed);
console.log(`${file}: ${tree.entries.length} entries, ${packed.length} bytes`);

async function built(module) {
  try {
    return await import(`../dist/src/recorded-hosts/${module}`);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    console.error('Berth is not built: run `npm run build` first');
    process.exit(1);
  }
}
