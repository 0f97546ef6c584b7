/** Runs the suite in workerd. A path is one request; each answers lines. */
import { Redis } from '@upstash/redis/cloudflare'
import { DictionaryStore, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fetch'
import { IN_PROCESS, onRedis, RedisStore, run } from './suite.mjs'

const shared = new Throttle({ store: new DictionaryStore(), rate: '2/hour' })
const limited = rateLimit({ throttle: shared, key: () => 'one' })(() => new Response('hello'))

const HTTP = { url: 'http://127.0.0.1:1', token: 'none' }
let madeOnLoading = 'a store was made'
try {
  new RedisStore({ client: new Redis(HTTP) })
} catch (error) {
  madeOnLoading = `${error.name}: ${error.message}`
}

let kept

const worker = {
  async fetch(request, env) {
    const client = () => new Redis({ url: env.HTTP_URL, token: env.TOKEN })
    switch (new URL(request.url).pathname) {
      case '/limited':
        return limited(request)
      case '/loading':
        return new Response(madeOnLoading)
      case '/kept': {
        kept ??= new Throttle({ store: new RedisStore({ client: client(), timeout: '20s' }), rate: '5/hour' })
        return new Response(
          await kept.check(crypto.randomUUID()).then(
            ({ remaining }) => String(remaining),
            ({ name, message }) => `${name}: ${message}`,
          ),
        )
      }
      case '/process':
        return lines(await run('in the process', IN_PROCESS))
      case '/redis':
        return lines(
          await run(
            'on Redis',
            onRedis((options) => new RedisStore({ url: env.REDIS_URL, ...options })),
          ),
        )
      default:
        return lines(
          await run(
            'over HTTP',
            onRedis((options) => new RedisStore({ client: client(), ...options })),
          ),
        )
    }
  },
}

export { worker as default }

function lines(texts) {
  return new Response(texts.join('\n'))
}
