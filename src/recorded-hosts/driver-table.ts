/** Where a simulated kernel keeps what a real one has in memory, below the sysfs root. No kernel has such a directory. */
export const SIMULATION_DIRECTORY = '.simulated-kernel';

/** In {@link SIMULATION_DIRECTORY}: {@link DriverTable} as JSON. */
export const DRIVER_TABLE_FILE = 'drivers.json';

/** Which driver takes which ids: `8086:154c` → `iavf`. A real kernel has this in its modules. */
export type DriverTable = Readonly<Record<string, string>>;
