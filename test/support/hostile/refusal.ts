/** What becomes of a value that is not taken: an error of the right kind, which says what it was and what was expected. */
import { InvalidStoreUrlError } from 'onrush'
import { expect } from 'vitest'
import type { Entrance } from './entrance.ts'
import { Fight } from './values.ts'

/** What a value comes to: `undefined` where it is taken. */
export async function failureOf(entrance: Entrance, value: unknown): Promise<unknown> {
  let answer: unknown
  try {
    answer = entrance.call(value)
  } catch (error) {
    expect(entrance.promises, `${entrance.name} throws instead of rejecting`).not.toBe(true)
    return error
  }
  try {
    await answer
    return undefined
  } catch (error) {
    return error
  }
}

export function expectRefusal(entrance: Entrance, error: unknown, name?: string): void {
  if (saysItself(error)) return
  expect(error, name).toSatisfy(
    (given) => given instanceof TypeError || given instanceof RangeError || given instanceof InvalidStoreUrlError,
  )
  expect(error, name).toHaveProperty('message', expect.stringMatching(entrance.says))
  expect(error, name).toHaveProperty('message', expect.stringMatching(/^.{1,600}$/))
}

/** A value that throws when it is read as an object has said itself what is wrong with it. */
function saysItself(error: unknown): boolean {
  return error instanceof Fight || (error instanceof TypeError && error.message.endsWith('proxy that has been revoked'))
}
