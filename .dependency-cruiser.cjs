/** The doors of ARCHITECTURE.md: which room of src may open which. */

const FRONT = ['api', 'scheduler', 'compute-agent'];

const room = (name) => `^src/${name}/`;
const anyOf = (names) => `^src/(${names.join('|')})/`;

/** Every room opens itself, errors.ts, and what is listed here; nothing else of src. */
const MAY_OPEN = {
  pci: [],
  placement: ['pci'],
  messages: ['pci'],
  settings: ['pci'],
  store: ['pci', 'placement', 'messages', 'settings'],
  batches: ['pci', 'placement', 'settings', 'store'],
  bus: ['messages', 'settings'],
  http: ['settings'],
  'recorded-hosts': ['pci'],
  cli: ['pci', 'settings'],
  'compute-agent': ['pci', 'messages', 'bus', 'settings', 'recorded-hosts'],
  fleet: ['pci', 'messages', 'bus', 'settings', 'recorded-hosts', 'compute-agent'],
};

const closedRooms = Object.entries(MAY_OPEN).map(([name, others]) => ({
  name: `doors-of-${name}`,
  comment: `${name} opens only ${['errors.ts', ...others].join(', ')}.`,
  severity: 'error',
  from: { path: room(name), pathNot: '[.]spec[.]ts$' },
  to: {
    path: '^(src|migrations|test|bench)/',
    pathNot: [anyOf([name, ...others]), '^src/errors[.]ts$', ...extraDoors(name)],
  },
}));

/** The store runs the migrations. */
function extraDoors(name) {
  return name === 'store' ? ['^migrations/'] : [];
}

const frontRooms = FRONT.map((name) => ({
  name: `${name}-opens-no-front-room`,
  comment: 'Front rooms talk by messages and through the ledger.',
  severity: 'error',
  from: { path: room(name) },
  to: { path: anyOf(FRONT.filter((other) => other !== name)) },
}));

module.exports = {
  forbidden: [
    ...closedRooms,
    ...frontRooms,
    {
      name: 'agent-never-reaches-store',
      comment: 'The agent owns facts, the ledger is the centre’s: not even indirectly.',
      severity: 'error',
      from: { path: room('compute-agent') },
      to: { path: room('store'), reachable: true },
    },
    {
      name: 'api-has-no-bus',
      comment: 'The API writes the ledger; the outbox is sent by the scheduler’s relay.',
      severity: 'error',
      from: { path: room('api'), pathNot: 'health' },
      to: { path: room('bus') },
    },
    {
      name: 'quiet-rooms-do-no-io',
      comment: 'pci and placement see only their arguments.',
      severity: 'error',
      from: { path: anyOf(['pci', 'placement']), pathNot: '[.]spec[.]ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'quiet-rooms-have-no-libraries',
      comment: 'Only pci needs two: for regular expressions in linear time, and for the expressions of selectors.',
      severity: 'error',
      from: { path: anyOf(['pci', 'placement']), pathNot: '[.]spec[.]ts$' },
      to: { dependencyTypes: ['npm', 'npm-optional'], pathNot: 'node_modules/(re2js|@marcbachmann/cel-js)/' },
    },
    {
      name: 'only-selectors-know-cel',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/pci/alias/selector' },
      to: { path: 'node_modules/@marcbachmann/cel-js/' },
    },
    {
      name: 'only-bus-knows-amqplib',
      severity: 'error',
      from: { path: '^src/', pathNot: room('bus') },
      to: { path: 'node_modules/amqplib/' },
    },
    {
      name: 'only-store-knows-the-database',
      severity: 'error',
      from: { path: '^src/', pathNot: room('store') },
      to: { path: 'node_modules/(typeorm|@nestjs/typeorm|pg)/' },
    },
    {
      name: 'rooms-know-nothing-of-main',
      severity: 'error',
      from: { path: '^src/[^/]+/' },
      to: { path: '^src/main[.]ts$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-tests-in-the-product',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '[.]spec[.]ts$' },
      to: { path: '(^test/|[.]spec[.]ts$)' },
    },
    {
      name: 'no-development-tools-in-the-product',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '[.]spec[.]ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nothing-unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
