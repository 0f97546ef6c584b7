/** The refusal of a wrong value: an error of the right kind, which names the value and what was expected. */
import { InvalidStoreUrlError } from 'onrush'
import { expect } from 'vitest'
import type { Entrance } from './entrance.ts'
import { Fight } from './values.ts'

/** The error that a value causes. `undefined`: the value is accepted. */
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

/** A value that throws when it is read as an object names the mistake by its own error. */
function saysItself(error: unknown): boolean {
  return error instanceof Fight || (error instanceof TypeError && error.message.endsWith('proxy that has been revoked'))
}
