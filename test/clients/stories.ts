/** What a command prints: all of JSON that is named here, or a text in what it prints. */
export type Shown = object | RegExp;

/** How a client says who it is. */
export type Auth = 'none' | 'http_basic' | 'password';

/** A command and what it has to do. */
export interface Step {
  /** As typed, without `openstack`; `{name}` is what an earlier step kept, in the name of this auth type: `{a}` is unique to it. */
  readonly command: string;
  /** Left out: with all. */
  readonly auth?: readonly Auth[];
  /** Exit code; 0 when left out. */
  readonly exit?: number;
  /** Of standard output; with JSON the command is asked for it (`-f json`). With another exit code than 0: of standard error. */
  readonly shows?: Shown;
  /** Keeps a field of the JSON printed under a name. */
  readonly keep?: Readonly<Record<string, string>>;
}

const PASSWORD_ONLY = ['password'] as const;
const PLACEMENT = '--os-placement-api-version 1.39';
/** The last that the client of Debian 12 knows. */
const NOVA = '--os-compute-api-version 2.92';

/** Flavors, as the charms guide makes them, and what else is done with them. */
const FLAVORS: readonly Step[] = [
  {
    command: 'flavor create --ram 8192 --disk 100 --vcpu 8 {a}.m1.gpu',
    shows: { name: '{a}.m1.gpu', ram: 8192, disk: 100, vcpus: 8, properties: {}, 'os-flavor-access:is_public': true },
    keep: { gpu: 'id' },
  },
  { command: 'flavor set {a}.m1.gpu --property "pci_passthrough:alias"="gpu:1"', shows: /^$/ },
  { command: 'flavor show {a}.m1.gpu', shows: { id: '{gpu}', properties: { 'pci_passthrough:alias': 'gpu:1' } } },
  { command: 'flavor show {gpu}', shows: { name: '{a}.m1.gpu' } },
  {
    command: 'flavor create --ram 2048 --vcpus 4 --disk 1 --id {a}-f2 --property hw:numa_nodes=1 {a}.small',
    shows: { id: '{a}-f2', properties: { 'hw:numa_nodes': '1' } },
  },
  {
    command: 'flavor create --ram 64 --vcpus 1 --disk 1 --id {a}-f2 {a}.twice',
    exit: 1,
    shows: /409.*{a}-f2/,
  },
  { command: 'flavor create --ram 64 --vcpus 1 --disk 1 {a}.small', exit: 1, shows: /409|already exists/ },
  {
    command: 'flavor set --property pci_passthrough:alias=nosuch:1 {a}.small',
    ...{ exit: 1, shows: /alias.*nosuch/ },
  },
  { command: 'flavor set --description told {a}.small', shows: /^$/ },
  { command: 'flavor unset --property hw:numa_nodes {a}.small', shows: /^$/ },
  { command: 'flavor show {a}-f2', shows: { description: 'told', properties: {} } },
  { command: 'flavor list --long', shows: [{ Name: '{a}.m1.gpu', Properties: { 'pci_passthrough:alias': 'gpu:1' } }] },
  { command: 'flavor list --min-ram 4096', shows: [{ ID: '{gpu}', VCPUs: 8, 'Is Public': true }] },
  {
    command: 'flavor create --private --ram 64 --vcpus 1 --disk 1 {a}.own',
    shows: { 'os-flavor-access:is_public': false },
  },
  { command: 'flavor list --all', shows: [{ Name: '{a}.own', 'Is Public': false }] },
  { command: 'flavor show nosuch', exit: 1, shows: /No Flavor found for nosuch/ },
  { command: 'flavor delete {a}.own', shows: /^$/ },
];

const KEYPAIRS: readonly Step[] = [
  { command: 'keypair create --public-key {key} {a}-key', shows: { name: '{a}-key', type: 'ssh' } },
  { command: 'keypair list', shows: [{ Name: '{a}-key' }] },
  { command: 'keypair show {a}-key', shows: { name: '{a}-key' } },
  { command: 'keypair show --public-key {a}-key', shows: /^ssh-ed25519 AAAA/ },
  { command: 'keypair show nosuch', exit: 1, shows: /nosuch/ },
];

const IMAGES: readonly Step[] = [
  {
    command: 'image create --public --disk-format raw --property hw_pci_numa_affinity_policy=preferred {a}.cirros',
    ...{ shows: { name: '{a}.cirros', status: 'active', visibility: 'public' }, keep: { image: 'id' } },
  },
  { command: 'image list', shows: [{ ID: '{image}', Name: '{a}.cirros', Status: 'active' }] },
  {
    command: 'image show {a}.cirros',
    shows: { id: '{image}', properties: { hw_pci_numa_affinity_policy: 'preferred' } },
  },
  { command: 'image set --property hw_architecture=x86_64 --min-ram 64 {image}', shows: /^$/ },
  { command: 'image show {image}', shows: { min_ram: 64, properties: { hw_architecture: 'x86_64' } } },
  { command: 'image unset --property hw_architecture {image}', shows: /^$/ },
  { command: 'image show nosuch', exit: 1, shows: /No Image found for nosuch/ },
];

const SERVER_GROUPS: readonly Step[] = [
  {
    command: 'server group create --policy anti-affinity {a}.apart',
    ...{ shows: { name: '{a}.apart', policy: 'anti-affinity', members: [] }, keep: { group: 'id' } },
  },
  { command: 'server group list', shows: [{ ID: '{group}', Name: '{a}.apart', Policy: 'anti-affinity' }] },
  { command: 'server group show {a}.apart', shows: { id: '{group}', rules: {} } },
  {
    command: `${NOVA} server group create --policy anti-affinity --rule max_server_per_host=2 {a}.pairs`,
    shows: { rules: { max_server_per_host: 2 } },
  },
  { command: 'server group delete {a}.pairs', shows: /^$/ },
];

/** The charms guide's server, without its network: Berth has none. */
const SERVERS: readonly Step[] = [
  {
    command: `${NOVA} server create --key-name {a}-key --image {image} --nic none --flavor {a}.m1.gpu --wait {a}.gpu-enabled-vm`,
    ...{ shows: { name: '{a}.gpu-enabled-vm', status: 'ACTIVE', key_name: '{a}-key' }, keep: { server: 'id' } },
  },
  {
    command: 'server show {a}.gpu-enabled-vm',
    shows: { id: '{server}', status: 'ACTIVE', flavor: '{a}.m1.gpu ({gpu})', 'OS-EXT-STS:vm_state': 'active' },
  },
  {
    command: `${NOVA} server show {server}`,
    shows: { name: '{a}.gpu-enabled-vm', 'OS-EXT-STS:power_state': 1 },
  },
  { command: 'server list', shows: [{ ID: '{server}', Status: 'ACTIVE', Flavor: '{a}.m1.gpu' }] },
  { command: 'server list --long --no-name-lookup', shows: [{ ID: '{server}', 'Power State': 1 }] },
  { command: `${NOVA} server list --name {a}.gpu`, shows: [{ Name: '{a}.gpu-enabled-vm' }] },
  { command: `${NOVA} server list --status ERROR`, shows: /^\[\]/ },
  { command: 'server set --property rack=7 {a}.gpu-enabled-vm', shows: /^$/ },
  { command: 'server show {server}', shows: { properties: { rack: '7' } } },
  { command: 'server unset --property rack {server}', shows: /^$/ },
  { command: `${NOVA} server set --name {a}.renamed {server}`, shows: /^$/ },
  { command: `${NOVA} server show {a}.renamed`, shows: { id: '{server}', properties: {} } },
  { command: 'server stop {server}', shows: /^$/ },
  { command: 'server start {server}', shows: /^$/ },
  { command: 'server reboot --wait {server}', shows: /Complete/ },
  { command: `${NOVA} server event list {server}`, shows: [{ Action: 'create', 'Server ID': '{server}' }] },
  {
    command: `${NOVA} server create --flavor {a}.small --image {image} --nic none --min 2 --max 2 --hint group={group} --wait {a}.twin`,
    shows: { name: '{a}.twin-1' },
  },
  { command: 'server group show {group}', shows: /"members": \[\s+"[0-9a-f-]{36}",\s+"[0-9a-f-]{36}"/ },
  { command: `${NOVA} server delete --wait {a}.twin-1 {a}.twin-2`, shows: /^$/ },
  {
    command: 'flavor create --ram 64 --vcpus 1 --disk 1 --property pci_passthrough:alias=gpu:3 {a}.big',
    shows: { properties: { 'pci_passthrough:alias': 'gpu:3' } },
  },
  {
    command: `${NOVA} server create --flavor {a}.big --image {image} --nic none --wait {a}.toobig`,
    shows: /Error creating server/,
  },
  { command: `${NOVA} server show {a}.toobig`, shows: { status: 'ERROR', fault: { code: 500 } } },
  { command: `${NOVA} server delete --wait {a}.toobig`, shows: /^$/ },
  { command: `${NOVA} server create --flavor nosuch --image {image} --nic none {a}.x`, exit: 1, shows: /nosuch/ },
  { command: 'server delete nosuch', exit: 1, shows: /No server with a name or ID of 'nosuch' exists/ },
];

const HOSTS: readonly Step[] = [
  { command: 'hypervisor list', shows: [{ 'Hypervisor Hostname': 'compute-1', State: 'up' }] },
  { command: `${NOVA} hypervisor list --long`, shows: [{ 'Hypervisor Hostname': 'compute-2' }] },
  { command: 'hypervisor list --matching compute-1', shows: [{ 'Hypervisor Hostname': 'compute-1' }] },
  { command: 'hypervisor show compute-1', shows: { hypervisor_hostname: 'compute-1', state: 'up', vcpus: 32 } },
  { command: 'hypervisor stats show', shows: { count: 2, vcpus: 64 } },
  { command: 'compute service list', shows: [{ Binary: 'nova-compute', Host: 'compute-1', Status: 'enabled' }] },
  { command: 'compute service set --disable --disable-reason maintenance compute-2 nova-compute', shows: /^$/ },
  {
    command: 'compute service list --service nova-compute --long',
    shows: [{ Host: 'compute-2', Status: 'disabled', 'Disabled Reason': 'maintenance' }],
  },
  { command: `${NOVA} compute service set --enable compute-2 nova-compute`, shows: /^$/ },
  { command: 'compute service list --host compute-2', shows: [{ Status: 'enabled' }] },
  { command: 'aggregate create --zone {a}.zone {a}.rack', shows: { name: '{a}.rack', availability_zone: '{a}.zone' } },
  { command: 'aggregate set --property pinned=true {a}.rack', shows: /^$/ },
  { command: 'aggregate show {a}.rack', shows: { name: '{a}.rack', properties: { pinned: 'true' } } },
  { command: 'aggregate list --long', shows: [{ Name: '{a}.rack', 'Availability Zone': '{a}.zone' }] },
  { command: 'aggregate delete {a}.rack', shows: /^$/ },
  { command: 'availability zone list --compute', shows: [{ 'Zone Name': 'nova', 'Zone Status': 'available' }] },
];

const PROJECTS: readonly Step[] = [
  { command: 'limits show --absolute', shows: [{ Name: 'maxTotalInstances' }] },
  { command: 'usage list', shows: /Servers|\[/ },
  { command: 'quota show', auth: PASSWORD_ONLY, shows: { instances: -1 } },
  { command: 'quota set --instances 50 admin', auth: PASSWORD_ONLY, shows: /^$/ },
  { command: 'quota show admin', auth: PASSWORD_ONLY, shows: { instances: 50 } },
  { command: 'usage show', auth: PASSWORD_ONLY, shows: { Project: 'admin' } },
  { command: 'token issue', auth: PASSWORD_ONLY, shows: { project_id: 'admin', user_id: 'admin' } },
  { command: 'catalog list', auth: PASSWORD_ONLY, shows: [{ Name: 'nova', Type: 'compute' }] },
  {
    command: 'versions show --service compute',
    auth: PASSWORD_ONLY,
    shows: [{ Status: 'CURRENT', 'Max Microversion': '2.93' }],
  },
];

const PLACEMENTS: readonly Step[] = [
  {
    command: `${PLACEMENT} resource provider list --name compute-1`,
    ...{ shows: [{ name: 'compute-1' }], keep: { provider: '0.uuid' } },
  },
  { command: 'resource provider list', shows: [{ name: 'compute-2' }] },
  { command: `${PLACEMENT} resource provider show {provider}`, shows: { uuid: '{provider}', name: 'compute-1' } },
  {
    command: `${PLACEMENT} resource provider inventory list {provider}`,
    shows: [{ resource_class: 'VCPU', total: 32 }],
  },
  { command: `${PLACEMENT} resource provider inventory show {provider} MEMORY_MB`, shows: { total: 131072 } },
  { command: `${PLACEMENT} resource provider usage show {provider}`, shows: [{ resource_class: 'VCPU' }] },
  { command: `${PLACEMENT} resource provider trait list {provider}`, shows: /\[/ },
  { command: `${PLACEMENT} resource provider aggregate list {provider}`, shows: /\[/ },
  {
    command: `${PLACEMENT} resource provider allocation show {server}`,
    shows: [{ resources: { VCPU: 8, MEMORY_MB: 8192, DISK_GB: 100 } }],
  },
  { command: `${PLACEMENT} resource class list`, shows: [{ name: 'CUSTOM_PCI_10DE_1BB0' }] },
  { command: `${PLACEMENT} trait list --name startswith:CUSTOM_`, shows: /\[/ },
  { command: `${PLACEMENT} resource usage show admin`, shows: /\[/ },
  {
    command: `${PLACEMENT} allocation candidate list --resource VCPU=1 --resource MEMORY_MB=64 --limit 5`,
    shows: [{ allocation: 'VCPU=1,MEMORY_MB=64' }],
  },
  {
    command: `${PLACEMENT} allocation candidate list --resource VCPU=1 --group 1 --resource CUSTOM_PCI_10DE_1BB0=1 --group-policy none`,
    shows: /CUSTOM_PCI_10DE_1BB0=1/,
  },
  {
    command: `${PLACEMENT} resource provider show ${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`,
    exit: 1,
    shows: /404/,
  },
];

const END: readonly Step[] = [
  { command: 'server delete --wait {a}.renamed', shows: /^$/ },
  { command: 'server show {server}', exit: 1, shows: /No server with a name or ID/ },
  { command: 'server group delete {a}.apart', shows: /^$/ },
  { command: 'keypair delete {a}-key', shows: /^$/ },
  { command: 'flavor delete {a}.m1.gpu {a}.small {a}.big', shows: /^$/ },
  { command: 'flavor show {a}.m1.gpu', exit: 1, shows: /No Flavor found/ },
  { command: 'image delete {image}', shows: /^$/ },
];

/** One after the other, with each auth type. */
export const STORY: readonly Step[] = [
  ...[...IMAGES, ...FLAVORS, ...KEYPAIRS, ...SERVER_GROUPS, ...SERVERS, ...HOSTS, ...PROJECTS, ...PLACEMENTS, ...END],
];
