import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANY_DEVICE } from '../pci/alias/alias.js';
import { LEVELS } from '../pci/topology.js';
import { TOPOLOGY_ATTRIBUTES, type DeviceRequest } from './request.js';
import {
  parseTopology,
  resolveTopology,
  TOPOLOGY_LENGTH_MAX,
  topologyText,
  type TopologyWish,
} from './topology-text.js';

const alias = (name: string) => ({ kind: 'alias' as const, name });
const port = (name: string) => ({ kind: 'port' as const, name });
const within = (level: string, ...names: object[]) => ({ kind: 'within', level, names, weight: null });
const pair = (per: number, level: string, ...names: object[]) => ({ kind: 'pair', per, level, names, weight: null });

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toMatchObject({ name: 'BerthError', code: 'topology.invalid' });
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

describe('a text of constraints', () => {
  it.each<[string, object]>([
    ['gpu within PIX', within('PIX', alias('gpu'))],
    ['gpu,nic within PXB', within('PXB', alias('gpu'), alias('nic'))],
    ['  gpu ,\n nic   WITHIN node ', within('NODE', alias('gpu'), alias('nic'))],
    ['port eth0,gpu within phb', within('PHB', port('eth0'), alias('gpu'))],
    ['gpu same numa_node', { kind: 'same', attribute: 'numa_node', names: [alias('gpu')], weight: null }],
    ['nic distinct PF', { kind: 'distinct', attribute: 'pf', names: [alias('nic')], weight: null }],
    ['pair gpu:nic 2:1 within PIX', pair(2, 'PIX', alias('gpu'), alias('nic'))],
    ['pair gpu : nic within PIX', pair(1, 'PIX', alias('gpu'), alias('nic'))],
    ['pair gpu:port eth0 256:1 within NODE', pair(256, 'NODE', alias('gpu'), port('eth0'))],
    ['gpu within PIX prefer', { ...within('PIX', alias('gpu')), weight: 50 }],
    ['gpu within PIX Prefer 1', { ...within('PIX', alias('gpu')), weight: 1 }],
    ['pair gpu:nic within PIX prefer 100', { ...pair(1, 'PIX', alias('gpu'), alias('nic')), weight: 100 }],
    ['"my gpu","a\\"b\\\\c;d" within PIX', within('PIX', alias('my gpu'), alias('a"b\\c;d'))],
    ['"port","pair",port port within PIX', within('PIX', alias('port'), alias('pair'), port('port'))],
    ['port "eth 0" within PIX', within('PIX', port('eth 0'))],
    ['within within PIX', within('PIX', alias('within'))],
    ['prefer,same distinct slot prefer 7', { kind: 'distinct', attribute: 'slot', names: [alias('prefer'), alias('same')], weight: 7 }], // prettier-ignore
    ['gpu,port gpu within PIX', within('PIX', alias('gpu'), port('gpu'))],
    ['GPU,gpu within PIX', within('PIX', alias('GPU'), alias('gpu'))],
  ])('%j', (text, wish) => {
    expect(parseTopology(text)).toEqual([wish]);
  });

  it('has its clauses in order', () => {
    const text = 'gpu,nic within PXB; gpu same numa_node;nic distinct pf prefer 10';
    expect(parseTopology(text).map(({ kind, weight }) => [kind, weight])).toEqual([
      ['within', null],
      ['same', null],
      ['distinct', 10],
    ]);
  });

  it.each<[string, string]>([
    ['', 'the text is empty'],
    [' \n', 'the text is empty'],
    ['gpu within PIX;', 'clause 2, there is nothing; remove the semicolon too many'],
    [';gpu within PIX', 'clause 1, there is nothing'],
    ['gpu', '"gpu": after the names say "within LEVEL", "same ATTRIBUTE" or "distinct ATTRIBUTE"'],
    ['gpu withn PIX', '"distinct ATTRIBUTE", not "withn"; did you mean "within"?'],
    ['my gpu within PIX', '"distinct ATTRIBUTE", not "gpu"'],
    ['gpu within', '"gpu within": a level is missing; say one of PIX, PXB, PHB, NODE'],
    [
      'gpu within PIXX',
      '"gpu within PIXX": "PIXX" is not a level; say one of PIX, PXB, PHB, NODE; did you mean "PIX"?',
    ],
    ['gpu within SYS', '"SYS" is not a level'],
    ['gpu within "PIX"', '"PIX" is not a level'],
    ['gpu same', 'an attribute is missing; say one of switch, root_port,'],
    ['nic distinct pff', '"pff" is not an attribute; say one of switch, root_port, pcie_root, numa_node, pf, slot, card; did you mean "pf"?'], // prettier-ignore
    ['gpu same PIX', '"PIX" is not an attribute'],
    ['gpu, within PIX', 'after the names say'],
    ['gpu,;nic within PIX', 'clause 1, "gpu,": say an alias or "port NAME"'],
    [',gpu within PIX', 'say an alias or "port NAME", not ","'],
    ['"" within PIX', 'say an alias or "port NAME", not ""'],
    ['gpu,gpu within PIX', '"gpu,gpu within PIX": gpu is named twice'],
    ['gpu,port a,port "a" same slot', 'port a is named twice'],
    ['"gpu within PIX', 'the quote at character 1 is not closed'],
    ['gpu within PIX; "nic within PIX', 'the quote at character 17 is not closed'],
    ['gpu within PIX PXB', '"PXB" is too much; only "prefer" may follow'],
    ['gpu within PIX prefr', '"prefr" is too much; only "prefer" may follow; did you mean "prefer"?'],
    ['gpu within PIX prefer 0', 'the weight has to be from 1 to 100'],
    ['gpu within PIX prefer 101', 'the weight has to be from 1 to 100'],
    ['gpu within PIX prefer -1', '"-1" is not a weight; write a whole number, like "prefer 50"'],
    ['gpu within PIX prefer 1.5', '"1.5" is not a weight'],
    ['gpu within PIX prefer "5"', '"5" is not a weight'],
    ['gpu within PIX prefer 5 6', '"6" is too much; nothing may follow'],
    ['pair gpu', 'a pair is of two: write "pair gpu:nic"'],
    ['pair gpu,nic within PIX', 'a pair is of two'],
    ['pair gpu:', 'say an alias or "port NAME"'],
    ['pair gpu:nic:dpu within PIX', 'the ratio of a pair is K:1'],
    ['pair gpu:nic 2 within PIX', 'the ratio of a pair is K:1'],
    [
      'pair gpu:nic 1:2 within PIX',
      'the ratio of a pair is K:1, so many of the first for one of the second, like "2:1"',
    ],
    ['pair gpu:nic 0:1 within PIX', 'the ratio is 0:1; it goes from 1:1 to 256:1'],
    ['pair gpu:nic 257:1 within PIX', 'the ratio is 257:1'],
    ['pair gpu:nic same slot', 'the ratio of a pair is K:1'],
    ['pair gpu:nic 2:1 same slot', 'say how near, like "pair gpu:nic 2:1 within PIX"'],
    ['pair gpu:gpu within PIX', 'gpu is named twice'],
    ['pair within PIX', 'a pair is of two'],
    ['gpu within PIX; nic within NODES', 'clause 2, "nic within NODES": "NODES" is not a level'],
    [Array.from({ length: 17 }, () => 'gpu within PIX').join(';'), '17 clauses; at most 16'],
    [Array.from({ length: 7 }, () => 'gpu within PIX prefer').join(';'), '7 clauses are preferred; at most 6'],
    ['x'.repeat(TOPOLOGY_LENGTH_MAX + 1), 'the text has 4097 characters; at most 4096'],
  ])('%j is refused', (text, problem) => {
    const message = refusal(() => parseTopology(text));
    expect(message).toMatch(/^topology: /);
    expect(message).toContain(problem);
    expect(message.length).toBeLessThan(300);
  });

  it('may have 16 clauses, 6 of them preferred', () => {
    const text = [...Array<string>(10).fill('gpu within PIX'), ...Array<string>(6).fill('gpu within PIX prefer')];
    expect(parseTopology(text.join(';'))).toHaveLength(16);
  });

  const name = fc.record({
    kind: fc.constantFrom('alias' as const, 'port' as const),
    name: fc.oneof(
      fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
      fc.constantFrom('pair', 'Port', 'port', 'within', 'prefer', 'a b', '"', '\\', ';', 'a:b', '2', '-'),
    ),
  });
  const names = (min: number, max: number) =>
    fc.uniqueArray(name, { minLength: min, maxLength: max, selector: (one) => `${one.kind} ${one.name}` });
  const level = fc.constantFrom(...LEVELS);
  const attribute = fc.constantFrom(...TOPOLOGY_ATTRIBUTES);
  const weight = fc.option(fc.integer({ min: 1, max: 100 }));
  const wish: fc.Arbitrary<TopologyWish> = fc.oneof(
    fc.record({ kind: fc.constant('within' as const), level, names: names(1, 4), weight }),
    fc.record({ kind: fc.constantFrom('same' as const, 'distinct' as const), attribute, names: names(1, 4), weight }),
    fc.record({ kind: fc.constant('pair' as const), level, per: fc.integer({ min: 1, max: 256 }), names: names(2, 2), weight }), // prettier-ignore
  );

  it('is read back as what was written, whatever the names are', () => {
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 6 }), (wishes) => {
        expect(parseTopology(topologyText(wishes))).toEqual(wishes);
      }),
    );
  });

  it('is written in one way', () => {
    const text = ' GPU,port "eth0"  Within pix prefer; pair gpu:nic within NODE ;"my gpu" same Card';
    expect(topologyText(parseTopology(text))).toBe(
      'GPU,port eth0 within PIX prefer 50; pair gpu:nic 1:1 within NODE; "my gpu" same card',
    );
  });

  it('is refused with topology.invalid only, whatever it is', () => {
    const word = fc.constantFrom('gpu', 'port', 'pair', 'within', 'PIX', 'same', 'slot', 'prefer', '5', ':', ',', ';', '"', '2:1', '\\'); // prettier-ignore
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 9 }).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            parseTopology(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'topology.invalid' });
          }
        },
      ),
    );
  });
});

const PORT = { vnicType: 'direct', physicalNetwork: null, trusted: null } as const;
const wants = (name: string, count = 1, countMax?: number): DeviceRequest => {
  return { alias: name, count, specs: [ANY_DEVICE], numaPolicy: 'legacy', ...(countMax !== undefined && { countMax }) };
};
const plugs = (name: string): DeviceRequest => ({ ...wants('', 1), alias: null, port: { ...PORT, name } });

describe('names of constraints', () => {
  const REQUESTS = [wants('gpu', 2), plugs('eth0'), wants('nic', 2), wants('gpu', 1), plugs('gpu')];
  const resolved = (text: string, requests = REQUESTS) => resolveTopology(parseTopology(text), requests);

  it.each<[string, object]>([
    ['nic within PIX', { kind: 'within', level: 'PIX', requests: [2], weight: null }],
    ['nic,gpu within PIX prefer 3', { kind: 'within', level: 'PIX', requests: [0, 2, 3], weight: 3 }],
    ['port gpu,port eth0 same card', { kind: 'same', attribute: 'card', requests: [1, 4], weight: null }],
    ['pair nic:port eth0 2:1 within PXB', { kind: 'pair', level: 'PXB', per: 2, requests: [2, 1], weight: null }],
  ])('%j', (text, constraint) => {
    expect(resolved(text)).toStrictEqual([constraint]);
  });

  it.each<[string, string]>([
    ['nick within PIX', '"nick within PIX": the server asks for no nick; did you mean "nic"?'],
    ['gpu within PIX; fpga,nic within PIX', 'clause 2, "fpga,nic within PIX": the server asks for no fpga'],
    ['eth0 within PIX', 'the server asks for no eth0; did you mean "port eth0"?'],
    ['port eth1 within PIX', 'the server asks for no port eth1; did you mean "port eth0"?'],
    ['port nic within PIX', 'the server asks for no port nic'],
    ['GPU within PIX', 'the server asks for no GPU; did you mean "gpu"?'],
    ['pair gpu:nic 2:1 within PIX', 'a pair is of two requests, and gpu is in several; ask for all of gpu in one'],
    ['pair nic:gpu 2:1 within PIX', 'a pair is of two requests, and gpu is in several'],
    ['pair nic:port eth0 1:1 within PIX', '"pair nic:port eth0 1:1 within PIX": 2 to 1 for one take 2, and port eth0 is all that is asked for'], // prettier-ignore
  ])('%j is refused', (text, problem) => {
    expect(refusal(() => resolved(text))).toContain(problem);
  });

  it.each<[count: number, per: number, ones: number, most: number | undefined, fits: boolean]>([
    [4, 2, 2, undefined, true],
    [5, 2, 2, undefined, false],
    [5, 2, 3, undefined, true],
    [5, 2, 1, 3, true],
    [5, 2, 1, 2, false],
    [1, 256, 1, undefined, true],
  ])('a pair of %i to %i for one of %i..%s fits: %s', (count, per, ones, most, fits) => {
    const requests = [wants('gpu', count, 8), wants('nic', ones, most)];
    const act = () => resolved(`pair gpu:nic ${per}:1 within PIX`, requests);
    if (fits) expect(act()).toHaveLength(1);
    else expect(refusal(act)).toContain(`${count} to ${per} for one take ${Math.ceil(count / per)}, and nic:`);
  });

  it.each<[string, boolean]>([
    ['gpu same switch; gpu distinct switch', true],
    ['gpu within PIX; gpu,nic distinct root_port', true],
    ['nic distinct pcie_root; gpu,nic within PXB', true],
    ['gpu same root_port; gpu distinct pcie_root', true],
    ['gpu same pf; gpu distinct pf', true],
    ['gpu,nic same slot; gpu,nic distinct slot', true],
    ['gpu within PHB; gpu distinct switch', false],
    ['gpu same pcie_root; gpu distinct root_port', false],
    ['gpu within PIX prefer; gpu distinct switch', false],
    ['gpu within PIX; gpu distinct switch prefer', false],
    ['gpu within PIX; nic distinct switch', false],
    ['port eth0 within PIX; port eth0 distinct switch', false],
    // devices without a node are on one bridge, and fit `distinct`
    ['gpu within NODE; gpu distinct numa_node', false],
    ['gpu within PIX; gpu distinct pf', false],
    ['pair nic:port eth0 2:1 within PIX; nic,port eth0 distinct switch', false],
  ])('%j contradicts itself: %s', (text, contradicts) => {
    if (!contradicts) expect(resolved(text)).toHaveLength(2);
    else expect(refusal(() => resolved(text))).toMatch(/clause \d.*: this contradicts clause \d/);
  });

  it('are limited when several texts are put together', () => {
    const [wish] = parseTopology('nic within PIX') as [TopologyWish];
    expect(refusal(() => resolveTopology(Array(17).fill(wish) as TopologyWish[], REQUESTS))).toContain('at most 16');
    const soft = Array(7).fill({ ...wish, weight: 1 }) as TopologyWish[];
    expect(refusal(() => resolveTopology(soft, REQUESTS))).toContain('at most 6');
    expect(resolveTopology([], REQUESTS)).toEqual([]);
  });
});
