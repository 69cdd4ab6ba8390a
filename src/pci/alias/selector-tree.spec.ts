import { describe, expect, it } from 'vitest';
import { attributesOf } from '../device-attributes.js';
import { FieldProblem } from '../device-spec/device-spec-fields.js';
import { readSelector, selectorMisfit, selectorTakes, type SelectorSubject } from './selector.js';

const GPU: SelectorSubject = {
  vendorId: '10de',
  productId: '20b0',
  deviceType: 'type-PF',
  numaNode: 1,
  tags: { rack: 'r1', physical_network: null },
  traits: ['HW_A', 'CUSTOM_B'],
  resourceClass: null,
  attributes: attributesOf({
    ...{ classCode: '030200', subsystemVendorId: null, subsystemProductId: null },
    link: { currentSpeed: null, maxSpeed: '16.0 GT/s PCIe', currentWidth: 8, maxWidth: 16 },
    sriov: { totalVfs: 16, numVfs: 0 },
  }),
};

function problem(text: string): string {
  try {
    return `read: ${readSelector(text)}`;
  } catch (error) {
    if (error instanceof FieldProblem) return error.message;
    throw error;
  }
}

describe('what a selector may say', () => {
  it.each([
    'device.vendor_id == "10de" && device.vendor_id != "8086"',
    'device.vendor_id.startsWith("10") && device.vendor_id.endsWith("de") && device.vendor_id.contains("0d")',
    'device.vendor_id.upperAscii() == "10DE" && "A".lowerAscii() == "a"',
    `device.vendor_id.matches("${'1'.repeat(197)}|de")`,
    'device.numa_node < 2 && device.numa_node <= 1 && device.numa_node > 0 && device.numa_node >= 1',
    '-device.numa_node == -1 && !(device.numa_node == 2)',
    'device.link_width * 2 == device.max_link_width && device.max_link_width / 2 == 8',
    'device.link_width + 1 == 9 && device.link_width - 1 == 7 && device.total_vfs % 5 == 1',
    'device.max_link_speed_gts + 1.0 == 17.0',
    'int(device.max_link_speed_gts) == 16 && double(device.link_width) == 8.0 && string(device.numa_node) == "1"',
    'size(device.traits) == 2 && device.traits.size() == 2',
    '"HW_A" in device.traits && device.numa_node in [0, 1]',
    'device.traits[0] == "HW_A" && device.tags["rack"] == "r1" && device.tags.rack == "r1"',
    'device.tags.physical_network == null && has(device.tags.rack) && !has(device.subsystem_vendor_id)',
    'device.traits.exists(t, t == "HW_A") && device.traits.all(t, t.size() > 3)',
    'device.traits.exists_one(t, t.startsWith("HW_")) && device.traits.filter(t, t == "HW_A").size() == 1',
    'device.numa_node == 1 ? device.link_width == 8 : device.link_width == 16',
    'device.numa_node == 0 || device.numa_node == 1',
  ])('%s', (text) => {
    expect(readSelector(text)).toBe(text);
    expect(selectorMisfit(text, GPU)).toBeNull();
    expect(selectorTakes(text, GPU)).toBe(true);
  });
});

describe('what it may not', () => {
  it.each<[string, string]>([
    ['device.vendor_id.matches(device.product_id)', 'matches() wants a regex in quotes (character 1)'],
    ['device.vendor_id.matches(10)', 'matches() wants a regex in quotes (character 1)'],
    ['device.vendor_id.matches()', 'matches() wants a regex in quotes (character 1)'],
    [`device.vendor_id.matches("${'x'.repeat(200)}")`, 'read: '],
    [`device.vendor_id.matches("${'x'.repeat(201)}")`, 'the regex has 201 characters; at most 200 (character 1)'],
    ['device.vendor_id.matches("[")', 'not a regex: missing closing ]: `[` (character 1)'],
    ['colour(device.vendor_id)', 'colour() is not there for selectors; there are has, size, int, double, string'],
    ['sise(device.vendor_id) == 1', 'sise() is not there for selectors; did you mean "size"? (character 1)'],
    [
      'device.vendor_id.replace("a", "b") == "x"',
      'replace() is not there for selectors; there are startsWith, endsWith',
    ],
    [
      'device.traits.exists(t, device.traits.exists(u, u == t))',
      'exists() stands within another loop; one is the limit',
    ],
    ['device.traits.all(t, device.traits.all(u, u == t))', 'all() stands within another loop; one is the limit'],
    [
      'device.traits.exists_one(t, device.traits.exists_one(u, u == t))',
      'exists_one() stands within another loop; one is the limit',
    ],
    [
      'device.traits.filter(t, device.traits.filter(u, u == t).size() == 1).size() == 1',
      'filter() stands within another loop; one is the limit',
    ],
    ['device.traits.exists(device, true)', 'take another name than "device" in a loop (character 1)'],
    ['device.vendor_id + device.product_id == "10de20b0"', 'only numbers can be added (character 1)'],
    ['(device.traits + device.traits).size() == 4', 'only numbers can be added'],
    ['device.vendor_id == "x" && size("a" + "b") == 2', 'only numbers can be added'],
    ['{"a": 1}.size() == 1', 'a map cannot be written in a selector'],
    ['b"x" == b"x"', 'bytes cannot be written in a selector (character 1)'],
    ['device.vender_id == "10de"', 'a device has no attribute "vender_id"; did you mean "vendor_id"?'],
    ['device.colour == "red"', 'a device has no attribute "colour"; the attributes are vendor_id, product_id'],
    ['device.numa_node', 'has to be true or false, and is of type int'],
  ])('%s', (text, message) => {
    expect(problem(text)).toContain(message);
  });
});

describe('what a refusal says that it looked at', () => {
  it.each<[string, string]>([
    ['device.numa_node == 0', 'numa_node is 1'],
    ['device.numa_node == 0 || device.link_width == 4 || device.numa_node == 7', 'numa_node is 1, link_width is 8'],
    ['device.tags.rack == "r2"', 'tag rack is r1'],
    ['device.tags["rack"] == "r2"', 'tag rack is r1'],
    ['device.tags.row == "r2"', 'tag row is not there'],
    ['"rack2" in device.tags', 'tags are rack physical_network'],
    ['device.traits[0] == "HW_B"', 'traits are HW_A CUSTOM_B'],
    ['device.subsystem_vendor_id == "10de"', 'subsystem_vendor_id is not known'],
    ['1 == 2', ''],
  ])('%s', (text, because) => {
    expect(selectorMisfit(text, GPU)?.because).toBe(because);
  });
});
