import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributesOf } from '../device-attributes.js';
import { FieldProblem } from '../device-spec/device-spec-fields.js';
import { readSelector, selectorMisfit, selectorTakes, type SelectorSubject } from './selector.js';
import { splitClauses } from './selector-text.js';

const A100: SelectorSubject = {
  vendorId: '10de',
  productId: '20b0',
  deviceType: 'type-PCI',
  numaNode: 1,
  tags: { rack: 'r1', physical_network: null },
  traits: ['CUSTOM_BIG', 'HW_GPU_API_VULKAN'],
  resourceClass: null,
  attributes: attributesOf({
    classCode: '030200',
    subsystemVendorId: '10de',
    subsystemProductId: '134f',
    link: { currentSpeed: '2.5 GT/s PCIe', maxSpeed: '16.0 GT/s PCIe', currentWidth: 8, maxWidth: 16 },
    sriov: { totalVfs: 4, numVfs: 0 },
  }),
};
/** Nothing is known that need not be. */
const BARE: SelectorSubject = {
  ...A100,
  numaNode: null,
  tags: {},
  traits: [],
  resourceClass: 'CUSTOM_GPU',
  attributes: attributesOf({
    classCode: '030000',
    subsystemVendorId: null,
    subsystemProductId: null,
    link: null,
    sriov: null,
  }),
};

describe('selectors', () => {
  it.each([
    ['device.vendor_id == "10de" && device.product_id == "20b0"', true, true],
    ['device.device_type == "type-PCI"', true, true],
    ['device.class_code.startsWith("0302")', true, false],
    ['device.subsystem_vendor_id == "10de" && device.subsystem_product_id == "134f"', true, false],
    ['device.numa_node == 1', true, false],
    ['!has(device.numa_node) || device.numa_node == 1', true, true],
    ['device.link_width >= 16', false, false],
    ['device.link_width < device.max_link_width', true, false],
    ['device.max_link_speed_gts == 16.0', true, false],
    ['device.max_link_speed_gts > 15', true, false],
    ['device.total_vfs == 4', true, false],
    ['device.total_vfs + 1 > 4 - 4', true, true],
    ['device.resource_class == "CUSTOM_PCI_10DE_20B0"', true, false],
    ['device.resource_class in ["CUSTOM_GPU", "CUSTOM_FPGA"]', false, true],
    ['"CUSTOM_BIG" in device.traits', true, false],
    ['device.traits.exists(t, t.matches("VULKAN$"))', true, false],
    ['device.traits.all(t, t.contains("_"))', true, true],
    ['device.traits.filter(t, t.startsWith("HW_")).size() == 1', true, false],
    ['size(device.traits) == 0 || device.traits[0] == "CUSTOM_BIG"', true, true],
    ['device.tags.rack == "r1"', true, false],
    ['device.tags["rack"].upperAscii() == "R1"', true, false],
    ['"physical_network" in device.tags', true, false],
    ['has(device.tags.rack) && device.tags.physical_network == null', true, false],
    ['device.tags.rack == 1', false, false],
    ['device.tags.rack.lowerAscii() == "r1" ? true : device.numa_node > 7', true, false],
    ['device.total_vfs / 0 == 1', false, false],
  ] as const)('%s', (text, ofA100, ofBare) => {
    expect(readSelector(` ${text}\n`)).toBe(text);
    expect(selectorTakes(text, A100)).toBe(ofA100);
    expect(selectorTakes(text, BARE)).toBe(ofBare);
    expect(selectorMisfit(text, A100) === null).toBe(ofA100);
  });

  it.each<[string, unknown, string]>([
    ['a number', 7, 'has to be a CEL expression in quotes, not the number 7'],
    ['nothing', '  ', 'is empty'],
    ['a long one', `"${'x'.repeat(2000)}" == ""`, 'has 2008 characters; at most 2000'],
    ['half of one', 'device.link_width >= 8 &&', 'Unexpected token: EOF (character 26)'],
    ['a second line', 'device.link_width >= 8 &&\n  devise.x', 'Unknown variable: devise (line 2, character 3)'],
    ['a mistyped attribute', 'true && device.link_with > 1', 'no attribute "link_with"; did you mean "link_width"?'],
    ['an unknown attribute', 'device.zzz == 1', 'no attribute "zzz"; the attributes are vendor_id, product_id'],
    ['the serial number', 'device.serial_number == "1"', 'no attribute "serial_number"'],
    ['another type', 'device.link_width == "8"', 'no such overload: int == string (character 1)'],
    ['whole speeds', 'device.max_link_speed_gts == 16', 'double == int; write numbers of this attribute like 16.0'],
    ['no yes or no', 'device.link_width', 'has to be true or false, and is of type int'],
    ['maybe yes or no', 'device.tags.rack', 'has to be true or false, and is of type dyn'],
    ['a mistyped function', 'device.vendor_id.startWith("1")', 'startWith() is not there for selectors; did you mean'],
    ['time', 'timestamp(0) < timestamp(1)', 'timestamp() is not there for selectors'],
    ['a binding', 'cel.bind(x, 1, x == 1)', 'bind() is not there for selectors'],
    ['a map', '{"a": 1}.size() == 1', 'a map cannot be written in a selector'],
    ['bytes', 'b"a" == b"a"', 'bytes cannot be written in a selector'],
    ['texts put together', 'device.vendor_id + "x" == "a"', 'only numbers can be added (character 1)'],
    ['lists put together', 'size(device.traits + ["a"]) > 1', 'only numbers can be added'],
    ['a loop in a loop', 'device.traits.all(a, device.traits.all(b, a == b))', 'within another loop; one is the limit'],
    ['a loop over a loop', '["a"].filter(a, ["b"].exists(b, a == b)).size() == 1', 'within another loop'],
    ['another device', 'device.traits.exists(device, device == "a")', 'take another name than "device"'],
    ['no regex', 'device.vendor_id.matches("(")', 'not a regex: missing closing )'],
    ['look-ahead', 'device.vendor_id.matches("(?=1)")', 'not a regex'],
    ['a regex of the device', 'device.vendor_id.matches(device.product_id)', 'matches() wants a regex in quotes'],
    ['a long regex', `device.vendor_id.matches("${'x'.repeat(201)}")`, 'the regex has 201 characters; at most 200'],
    ['depth', `${'('.repeat(500)}true${')'.repeat(500)}`, 'Exceeded maxDepth'],
    ['size', Array.from({ length: 200 }, () => '1<2').join('&&'), 'Exceeded maxAstNodes'],
    ['a long list', `1 in [${Array.from({ length: 70 }, () => '1').join()}]`, 'Exceeded maxListElements'],
  ])('refuse %s', (_case, text, message) => {
    const read = (): string => readSelector(text);
    expect(read).toThrow(FieldProblem);
    expect(read).toThrow(message);
  });

  it('run regexes in linear time', () => {
    const traits = ['A'.repeat(250)];
    expect(selectorTakes('device.traits.exists(t, t.matches("^(A+)+$"))', { ...A100, traits })).toBe(true);
    expect(selectorTakes('device.traits.exists(t, t.matches("^(A+)+!"))', { ...A100, traits })).toBe(false);
  });

  it('that cannot be read take nothing, and say so', () => {
    expect(selectorTakes('device.', A100)).toBe(false);
    expect(selectorMisfit('device.', A100)).toMatchObject({ clause: 'device.', outcome: 'unknown' });
  });

  it('never throw anything but a FieldProblem', () => {
    const piece = fc.constantFrom(
      ...[
        'device',
        '.',
        'tags',
        'traits',
        '["rack"]',
        '==',
        '&&',
        '||',
        '(',
        ')',
        '[',
        ']',
        '"a"',
        "'",
        '"',
        '1',
        '?',
        ':',
      ],
      ...[
        '!',
        '-',
        '+',
        'in',
        'exists(t, ',
        'has(',
        'matches(',
        'null',
        '{',
        '}',
        ',',
        'b""',
        '//',
        '\n',
        'r"\\"',
        '.?x',
      ],
      ...['__proto__', 'constructor', 'link_width', '18446744073709551616', '1u', '1e999', '\\'],
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(' ')),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          readSelector(given);
        } catch (error) {
          expect(error).toBeInstanceOf(FieldProblem);
        }
        expect(typeof selectorTakes(given, A100)).toBe('boolean');
        expect(selectorMisfit(given, A100) === null).toBe(selectorTakes(given, A100));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the clause that fails', () => {
  it.each([
    ['device.vendor_id == "10de" && device.link_width >= 16', 'device.link_width >= 16', 'false', 'link_width is 8'],
    ['device.link_width >= 16 && device.numa_node == 0', 'device.link_width >= 16', 'false', 'link_width is 8'],
    ['device.tags.row == "x"', 'device.tags.row == "x"', 'unknown', 'tag row is not there'],
    [
      '1 < 2 && (device.tags.rack == "r2" || device.numa_node == 0)',
      undefined,
      'false',
      'tag rack is r1, numa_node is 1',
    ],
    ['device.tags["rack"] == "a && b" && true', 'device.tags["rack"] == "a && b"', 'false', 'tag rack is r1'],
    ['"CUSTOM_RED" in device.traits', undefined, 'false', 'traits are CUSTOM_BIG HW_GPU_API_VULKAN'],
    ['"x" in device.tags', undefined, 'false', 'tags are rack physical_network'],
    ['device.numa_node == 0 || device.link_width > 8', undefined, 'false', 'numa_node is 1, link_width is 8'],
    ['device.tags.rack > 1 // && true', undefined, 'unknown', 'tag rack is r1'],
  ] as const)('%s', (text, clause, outcome, because) => {
    const misfit = selectorMisfit(text, A100);
    expect(misfit).toMatchObject({ outcome, because });
    if (clause !== undefined) expect(misfit?.clause).toBe(clause);
  });

  it('says what is not known', () => {
    expect(selectorMisfit('device.numa_node == 0 && true', BARE)).toEqual({
      clause: 'device.numa_node == 0',
      outcome: 'unknown',
      because: 'numa_node is not known',
    });
    expect(selectorMisfit('"A" in device.traits', BARE)?.because).toBe('traits are none');
  });

  it('is one of parts that say together what the whole says', () => {
    const atom = fc.constantFrom(
      'device.link_width > 8',
      'device.numa_node == 1',
      '"a && b" != "c || d"',
      "device.tags.rack == 'r1'",
      'device.tags.nothing == "x"',
      'device.traits.exists(t, t == "CUSTOM_BIG" && true)',
      '(false || true)',
      '(true && (false || device.total_vfs > 3))',
    );
    fc.assert(
      fc.property(fc.array(atom, { minLength: 1, maxLength: 6 }), fc.boolean(), (atoms, or) => {
        const text = atoms.join(' && ');
        expect(splitClauses(text)).toEqual(atoms);
        expect(atoms.every((clause) => selectorTakes(clause, A100))).toBe(selectorTakes(text, A100));
        const joined = `${text} ${or ? '||' : '?'} true${or ? '' : ' : false'}`;
        expect(splitClauses(joined)).toEqual([joined]);
      }),
    );
  });
});

describe('attributes', () => {
  it('that are equal are one object', () => {
    const facts = { classCode: '020000', subsystemVendorId: null, subsystemProductId: null, link: null, sriov: null };
    expect(attributesOf(facts)).toBe(attributesOf({ ...facts }));
    expect(attributesOf({ ...facts, classCode: '020001' })).not.toBe(attributesOf(facts));
    expect(attributesOf({ ...facts, sriov: { totalVfs: 8, numVfs: 3 } })).toMatchObject({ totalVfs: 8 });
  });

  it.each([
    ['16.0 GT/s PCIe', 16],
    ['2.5 GT/s', 2.5],
    ['Unknown', null],
    [null, null],
  ])('speed %j is %j', (maxSpeed, expected) => {
    const link = { currentSpeed: null, maxSpeed, currentWidth: null, maxWidth: null };
    const facts = { classCode: '020000', subsystemVendorId: null, subsystemProductId: null, sriov: null };
    expect(attributesOf({ ...facts, link }).maxLinkSpeedGts).toBe(expected);
  });
});
