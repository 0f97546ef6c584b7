/** One process of the demo: hammers its target and reports its counts. Started by `crew.ts`, never by hand. */
import { RedisStore } from 'onrush'
import { Hammer } from './hammer.ts'
import { NOTHING, type Order, type Place, type Report } from './orders.ts'

/** The time between two reports, in ms. */
const PAUSE = 50

const { url, prefix }: Place = JSON.parse(process.argv[2] ?? '')
const store = new RedisStore({ url, prefix, timeout: 10_000 })
let hammer: Hammer | undefined

process.on('disconnect', () => process.exit())
process.on('message', async (order: Order) => {
  if (order === 'stop') {
    const stopping = hammer?.stop()
    hammer = undefined
    send({ tally: (await stopping) ?? NOTHING, done: true })
  } else {
    hammer = new Hammer(store, order)
  }
})
setInterval(() => {
  if (hammer !== undefined) send({ tally: hammer.tally, done: false })
}, PAUSE)

if (!(await store.ping())) throw new Error(`Redis does not answer at ${url}`)
send({ tally: NOTHING, done: true })

function send(report: Report): void {
  if (process.send === undefined) throw new Error('This program is started by the demo only')
  process.send(report)
}
