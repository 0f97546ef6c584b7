/** Run by jest itself, in its sandbox, on a copy that is one CommonJS file. */
import { afterEach, expect, jest, test } from '@jest/globals'
import * as onrush from 'onrush'
import { faultsUnder } from './scenario.ts'

afterEach(() => {
  jest.useRealTimers()
})

test('the stores in this process follow the Date of jest', () => {
  expect(
    faultsUnder(
      {
        start: (now) => jest.useFakeTimers({ now }),
        advance: (milliseconds) => jest.advanceTimersByTime(milliseconds),
        stop: () => jest.useRealTimers(),
      },
      onrush,
    ),
  ).toEqual([])
})
