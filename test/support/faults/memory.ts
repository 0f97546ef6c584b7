/** Whether memory returns when all is over. */
import { afterAll, beforeAll, expect } from 'vitest'
import { heapUsed } from './heap.ts'

/** When the tests of the file are over, the heap is at most so many bytes larger than before them. */
export function expectMemoryToReturn(most: number): void {
  let before = 0
  beforeAll(() => {
    before = heapUsed()
  })
  afterAll(() => {
    expect(heapUsed() - before, 'bytes by which the heap has grown').toBeLessThan(most)
  })
}
