import { Memcache } from 'memcache'
import { expect, it } from 'vitest'
import { startMemcached } from './memcached.ts'

it('starts a memcached that keeps what it is given', async () => {
  await using server = await startMemcached()
  const client = new Memcache(`127.0.0.1:${server.port}`)
  await client.connect()
  await client.set('key', 'value')
  await expect(client.get('key')).resolves.toBe('value')
  await client.disconnect()
})
