/** Runs worker.mjs, bundled, in workerd with and without `nodejs_compat`. Arguments: the bundle's folder, Redis, the HTTP server before it, its token. */
import { Miniflare } from 'miniflare'

const [folder, url, httpUrl, token] = process.argv.slice(2)
const ADVICE = 'TypeError: on Workers a RedisStore serves only the request that made it'

function expectStart(found, expected) {
  if (!found.startsWith(expected)) throw new Error(`expected ${expected} …, found ${found}`)
}

for (const flags of [['nodejs_compat'], []]) {
  const name = flags[0] ?? 'without nodejs_compat'
  const worker = new Miniflare({
    modules: true,
    scriptPath: `${folder}/worker-${flags.length}.mjs`,
    compatibilityDate: '2026-04-01',
    compatibilityFlags: flags,
    bindings: { REDIS_URL: url, HTTP_URL: httpUrl, TOKEN: token },
  })
  const ask = (path) => worker.dispatchFetch(`http://localhost${path}`)
  const cases = {
    async 'a store in the process is made once for all requests'() {
      const statuses = [await ask('/limited'), await ask('/limited'), await ask('/limited')].map(({ status }) => status)
      if (String(statuses) !== '200,200,429') throw new Error(String(statuses))
    },
    async 'a RedisStore that is made while the Worker is loaded says what to do'() {
      expectStart(await (await ask('/loading')).text(), ADVICE)
    },
    async 'a RedisStore that is kept for another request says what to do, and hangs nobody'() {
      expectStart(await (await ask('/kept')).text(), '4')
      expectStart(await (await ask('/kept')).text(), ADVICE)
    },
  }
  for (const [title, work] of Object.entries(cases)) {
    const said = await work().then(
      () => 'ok',
      (error) => `FAILED: ${error.stack}`,
    )
    console.log(`${name}: ${title}: ${said}`)
  }
  for (const path of flags.length > 0 ? ['/process', '/http', '/redis'] : ['/process', '/http']) {
    const response = await ask(path)
    const text = await response.text()
    for (const line of text.split('\n')) console.log(`${name}: ${response.status === 200 ? '' : 'FAILED: '}${line}`)
  }
  await worker.dispose()
}
