/** An error as tests describe it. */
import { expect } from 'vitest'

/** For `toThrow`: an error of this name whose message contains `text`. */
export function errorSaying(name: string, text: string): Error {
  return expect.objectContaining({ name, message: expect.stringContaining(text) })
}
