/**
 * Indexes of values, greatest value first, equal ones by index: as sorting would give them, but the order is made only
 * as far as it is asked for. A binary heap; building it takes one pass.
 */
export function* bestFirst(values: Float64Array, indexes: Uint32Array): Generator<number> {
  const heap = indexes.slice();
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, values, at, heap.length);
  for (let size = heap.length; size > 0; size--) {
    yield heap[0] as number;
    heap[0] = heap[size - 1] as number;
    sink(heap, values, 0, size - 1);
  }
}

/** Moves the index at a place down until it is ahead of both below it. */
function sink(heap: Uint32Array, values: Float64Array, start: number, size: number): void {
  const moving = heap[start] as number;
  let at = start;
  for (let below = 2 * at + 1; below < size; below = 2 * at + 1) {
    if (below + 1 < size && isAhead(values, heap[below + 1] as number, heap[below] as number)) below++;
    if (!isAhead(values, heap[below] as number, moving)) break;
    heap[at] = heap[below] as number;
    at = below;
  }
  heap[at] = moving;
}

function isAhead(values: Float64Array, a: number, b: number): boolean {
  const difference = (values[a] as number) - (values[b] as number);
  return difference > 0 || (difference === 0 && a < b);
}
