import {
  HOUR,
  MINUTE,
  boolean,
  integer,
  oneOf,
  optional,
  setting,
  text,
  type SettingDefinition,
} from './setting-kinds.js';

/** The settings of the compute agent. */
export const AGENT_SETTINGS: readonly SettingDefinition[] = [
  setting('agent.host', optional(text()), null, "Name of this host; null is the machine's own.", 'BERTH_HOST'),
  setting('agent.sysfs_root', text(), '/sys', 'Where the sysfs tree is.', 'BERTH_SYSFS_ROOT'),
  setting('agent.proc_root', text(), '/proc', 'Where the proc tree is.', 'BERTH_PROC_ROOT'),
  setting(
    'agent.state_dir',
    text(),
    '/var/lib/berth',
    'Where the agent keeps its epoch and its journal of prepared devices.',
    'BERTH_STATE_DIR',
  ),
  setting(
    'agent.kernel',
    oneOf(['live', 'simulated']),
    'live',
    "live: sysfs_root is a kernel's. simulated: a recorded tree, whose kernel Berth plays.",
    'BERTH_KERNEL',
  ),
  setting('agent.read_only', boolean(), false, 'true: report devices, but never bind one.', 'BERTH_READ_ONLY'),
  setting('agent.scan_interval_ms', integer(100, 24 * HOUR), MINUTE, 'How often all devices are looked at.'),
  setting(
    'agent.change_interval_ms',
    integer(50, MINUTE),
    250,
    "How often the kernel's count of uevents is read; a change has all devices looked at soon.",
  ),
  setting('agent.heartbeat_interval_ms', integer(100, HOUR), 10_000, 'How often the host says that it is there.'),
  setting('agent.resources.vcpus', optional(integer(0, 65_536)), null, 'CPUs to report; null is what the host has.'),
  setting(
    'agent.resources.memory_mb',
    optional(integer(0, 2 ** 40)),
    null,
    'Memory to report, in MiB; null: as above.',
  ),
  setting('agent.resources.disk_gb', optional(integer(0, 2 ** 40)), null, 'Disk to report, in GiB; null: as above.'),
  setting('agent.reserved.vcpus', integer(0, 65_536), 0, 'CPUs that are kept for the host itself.'),
  setting('agent.reserved.memory_mb', integer(0, 2 ** 40), 0, 'Memory that is kept for the host itself, in MiB.'),
  setting('agent.reserved.disk_gb', integer(0, 2 ** 40), 0, 'Disk that is kept for the host itself, in GiB.'),
  setting(
    'agent.hypervisor.type',
    text(),
    'QEMU',
    'What its servers run on: img_hv_type and capabilities: ask for it.',
  ),
  setting(
    'agent.hypervisor.version',
    optional(integer(0, 1_000_000_000)),
    null,
    'Like 8002000 for 8.2.0; null: not told.',
  ),
];
