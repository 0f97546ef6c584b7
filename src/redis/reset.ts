/** Deletes all keys of a prefix, on every server. In batches, so that Redis is never blocked for long and checks go on meanwhile. */
import calculateSlot from 'cluster-key-slot'
import { command } from './call/run-script.ts'
import type { DeciderContext } from './decider.ts'
import { bySlot, type Master, mastersOf, pagesOf } from './scan.ts'

export async function reset(context: DeciderContext): Promise<void> {
  const { names, stateNames } = context
  const masters = await mastersOf(context)
  await Promise.all(masters.map((master) => resetOn(master, context)))
  await unlink([Buffer.from(names.ofStates)], context)
  stateNames.forget()
}

async function resetOn(master: Master, context: DeciderContext): Promise<void> {
  for await (const keys of pagesOf(master, context)) {
    await Promise.all(bySlot(keys, context.connection).map((group) => unlink(group, context)))
  }
}

/** Deletes the keys in one command, or one by one if that fails: while a slot is migrating, its keys are on two nodes. */
async function unlink(keys: readonly Buffer[], context: DeciderContext): Promise<void> {
  const { connection, coalescer } = context
  try {
    const [first] = keys
    const node = connection.cluster && first !== undefined ? connection.nodeOf(calculateSlot(first)) : ''
    await coalescer.within(() => command(connection, node, 'UNLINK', keys))
  } catch (error) {
    if (keys.length === 1) throw error
    await Promise.all(keys.map((key) => unlink([key], context)))
  }
}
