/** Options of an `LRUCache` of so many entries that takes memory only for those that it holds. With `max` it would take it for all, when it is made. */
export function boundedBy(entries: number): { readonly maxSize: number; readonly sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: one }
}

function one(): number {
  return 1
}
