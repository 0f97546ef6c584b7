/** One scene for the tests of a file that break it for a moment each, with throttles that are ready to be asked. */
import type { Throttle } from 'onrush'
import { afterAll, beforeAll } from 'vitest'
import { openStore, Scene, type StoreChoice, throttleOn } from './suite.ts'

export const TIMEOUT = 300
export const LIMIT = 100

export interface Shared {
  readonly scene: Scene
  /** A throttle on a store of its own, connected and its script known. */
  ready(choice?: StoreChoice, port?: number): Promise<Throttle & AsyncDisposable>
  /** How many calls the server has got, of those that decide. */
  calls(): Promise<number>
}

/** Called at the top of a file. */
export function sharedScene(): Shared {
  let scene: Scene | undefined
  const opened = (): Scene => {
    if (scene === undefined) throw new Error('The scene is not open yet')
    return scene
  }
  beforeAll(async () => {
    scene = await Scene.start({ timeout: TIMEOUT })
  })
  afterAll(() => scene?.[Symbol.asyncDispose]())
  return {
    get scene() {
      return opened()
    },
    async ready(choice = {}, port = opened().proxy.port) {
      const store = openStore(port, { timeout: TIMEOUT, ...choice })
      const throttle = throttleOn(store, LIMIT)
      await throttle.check('first')
      return Object.assign(throttle, { [Symbol.asyncDispose]: () => store.close() })
    },
    async calls() {
      const text = await opened().server.information('commandstats')
      return [...text.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
    },
  }
}
