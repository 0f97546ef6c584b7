import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { searchMemcached, searchRedisServer } from './find-server.ts'

/** A PATH that holds nothing but what a test puts there. */
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'onrush-find-'))
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true })
})

function addProgram(name: string, script = ''): string {
  const path = join(directory, name)
  writeFileSync(path, `#!/bin/sh\n${script}`)
  chmodSync(path, 0o755)
  return path
}

function addFromSystem(name: string): void {
  symlinkSync(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), join(directory, name))
}

/** Knows no package before `update`, and then installs a link. */
function addAptGet(): void {
  for (const name of ['sh', 'flock', 'ln', 'sleep']) addFromSystem(name)
  addProgram(
    'apt-get',
    `cd ${directory}; echo "$*" >>calls
     case "$*" in
     *update) : >updated ;;
     *) [ -e updated ] && sleep 0.1 && ln -s sh redis-server ;;
     esac`,
  )
}

describe('findRedisServer', () => {
  it('takes the server that ONRUSH_REDIS_SERVER names before one on PATH', async () => {
    addProgram('redis-server')
    const mine = addProgram('mine')
    await expect(searchRedisServer({ PATH: directory, ONRUSH_REDIS_SERVER: mine }, false)).resolves.toBe(mine)
    await expect(searchRedisServer({ PATH: directory, REDISMS_SYSTEM_BINARY: mine }, false)).resolves.toBe(mine)
  })

  it('takes no other server when the named one is no program', async () => {
    addProgram('redis-server')
    const env = { PATH: directory, ONRUSH_REDIS_SERVER: directory }
    await expect(searchRedisServer(env, false)).rejects.toThrow(`ONRUSH_REDIS_SERVER must be the path of an executable`)
  })

  it('finds Valkey on PATH where there is no Redis', async () => {
    const valkey = addProgram('valkey-server')
    await expect(searchRedisServer({ PATH: `/nowhere:${directory}` }, false)).resolves.toBe(valkey)
    const redis = addProgram('redis-server')
    await expect(searchRedisServer({ PATH: `/nowhere:${directory}` }, false)).resolves.toBe(redis)
  })

  it('finds what redis-memory-server has built earlier, before it installs anything', async () => {
    addAptGet()
    mkdirSync(join(directory, 'stable'))
    const built = addProgram('stable/redis-server')
    await expect(searchRedisServer({ PATH: directory, REDISMS_DOWNLOAD_DIR: directory }, true)).resolves.toBe(built)
  })

  it('installs it once with apt-get when two look for it, after an update if the package is not known', async () => {
    addAptGet()
    const search = () => searchRedisServer({ PATH: directory, HOME: directory }, true)
    const installed = join(directory, 'redis-server')
    await expect(Promise.all([search(), search()])).resolves.toEqual([installed, installed])
    const calls = readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n')
    expect(calls.map((call) => call.match(/install|update/)?.[0])).toEqual(['install', 'update', 'install'])
  })

  it('says what to install when it can neither be found nor be had', async () => {
    vi.stubEnv('REDISMS_DOWNLOAD_DIR', directory)
    vi.stubEnv('REDISMS_DOWNLOAD_MIRROR', 'http://127.0.0.1:1')
    const message = /Install redis-server, or set ONRUSH_REDIS_SERVER.*apt-get install -y redis-server.*ECONNREFUSED/s
    await expect(searchRedisServer({ PATH: directory, HOME: directory }, false)).rejects.toThrow(message)
  })
})

describe('findMemcached', () => {
  it('takes what MEMCACHED_BINARY names, then what is on PATH, and else says what to install', async () => {
    await expect(searchMemcached({ PATH: directory }, false)).rejects.toThrow('Install memcached')
    const found = addProgram('memcached')
    await expect(searchMemcached({ PATH: directory }, false)).resolves.toBe(found)
    const mine = addProgram('mine')
    await expect(searchMemcached({ PATH: directory, MEMCACHED_BINARY: mine }, false)).resolves.toBe(mine)
  })
})
