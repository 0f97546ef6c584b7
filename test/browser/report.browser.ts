/** The report of a replay, as a browser shows it without a network. `npm run test:browser`; with PICTURE=FILE it also takes a picture. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { onrush } from '../support/cli/command-line.ts'
import { findChromium } from '../support/servers/find-server.ts'

const LOG = resolve(import.meta.dirname, '../../examples/access.log')

let folder: string
let browser: Browser
let page: Page
const problems: string[] = []
const asked: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onrush-browser-'))
  const path = join(folder, 'report.html')
  const rates = ['--rate', '30/minute', '--rate', '60/minute burst 20', '--together']
  const { code, error } = await onrush([
    'replay',
    LOG,
    ...rates,
    '--smallest',
    'minute',
    '--touching',
    '2%',
    '--html',
    path,
  ])
  expect({ code, error }).toEqual({ code: 0, error: '' })
  browser = await puppeteer.launch({ executablePath: await findChromium(), args: ['--no-sandbox'] })
  page = await browser.newPage()
  await page.setViewport({ width: 900, height: 1200 })
  page.on('console', (message) => problems.push(message.text()))
  page.on('pageerror', (problem) => problems.push(String(problem)))
  page.on('request', (request) => asked.push(request.url()))
  await page.setOfflineMode(true)
  await page.goto(pathToFileURL(path).href)
})

afterAll(async () => {
  await browser?.close()
  await rm(folder, { recursive: true, force: true })
})

test('the report loads offline, asks for nothing else, and the browser complains of nothing', () => {
  expect(problems).toEqual([])
  expect(asked).toHaveLength(1)
})

test('the report shows its candidates, the keys hit hardest, and both plots within the page', async () => {
  const text = await page.$eval('body', (body) => body.textContent)
  for (const shown of [
    '30/minute by gcra',
    'all together by gcra',
    '203.0.113.9',
    'Smallest limits that touch fewer than 2 % of keys',
  ]) {
    expect(text).toContain(shown)
  }
  const boxes = await page.$$eval('svg', (plots) => plots.map((plot) => plot.getBoundingClientRect().toJSON()))
  expect(boxes).toHaveLength(2)
  for (const { x, width, height } of boxes) {
    expect(x).toBeGreaterThanOrEqual(0)
    expect(x + width).toBeLessThanOrEqual(900)
    expect(width).toBeGreaterThan(300)
    expect(height).toBeGreaterThan(60)
  }
  expect(await page.$eval('html', (html) => html.scrollWidth)).toBeLessThanOrEqual(900)
  const { PICTURE } = process.env
  if (PICTURE !== undefined) await page.screenshot({ path: PICTURE })
})
