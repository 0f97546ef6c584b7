/** Express in CommonJS, tested by jest as it is without any configuration. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

const APP = `
const express = require('express')
const { DictionaryStore, GcraLimiter, OnrushError, Quota, Throttle } = require('onrush')
const { rateLimit } = require('onrush/express')

const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
const app = express()
app.use(rateLimit({ throttle, key: (request) => request.ip }))
app.get('/', (_request, response) => response.send('ok'))
module.exports = { app, OnrushError }
`

const TEST = `
const { app, OnrushError } = require('./app')

let server
beforeAll((done) => { server = app.listen(0, '127.0.0.1', done) })
afterAll((done) => { server.close(done) })

test('the third request is refused', async () => {
  const ask = async () => (await fetch('http://127.0.0.1:' + server.address().port, { headers: { connection: 'close' } })).status
  expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429])
})

test('an error is of the class that the application required', async () => {
  expect(() => require('onrush').storeFromUrl('nothing://')).toThrow(OnrushError)
})
`

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.create()
})

afterAll(() => built?.[Symbol.dispose]())

test('jest runs the tests of a CommonJS project with Express and onrush, with nothing to configure', async () => {
  using consumer = new Consumer(built, ['express', 'jest'])
  consumer.write('package.json', '{}')
  consumer.write('app.js', APP)
  consumer.write('app.test.js', TEST)
  const { stderr } = await consumer.run('node_modules/jest/bin/jest.js')
  expect(stderr).toContain('Tests:       2 passed, 2 total')
})
