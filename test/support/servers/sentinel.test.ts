import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { startSentinels } from './sentinel.ts'

it('lets the sentinels promote a replica when the master is killed, and clients follow', async () => {
  await using group = await startSentinels()
  const sentinels = group.sentinelPorts.map((port) => ({ host: '127.0.0.1', port }))
  const client = new Redis({ sentinels, name: group.masterName })
  // It tries the dead master until it hears of the new one.
  client.on('error', () => {})
  try {
    await client.set('key', 'value')
    await client.wait(1, 1000)
    const old = await group.currentMaster()
    const promoted = await group.killMaster()
    expect(promoted).not.toBe(old)
    expect(await group.currentMaster()).toBe(promoted)
    await client.append('key', '!')
    await expect(promoted.command('GET', 'key')).resolves.toBe('value!')
  } finally {
    client.disconnect()
  }
})
