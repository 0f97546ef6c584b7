/** jest 30 with each of its usual transforms, without any configuration for onrush. */
import { Project } from './project.ts'

const SERVICE = `
import { DictionaryStore, GcraLimiter, OnrushError, Quota, storeFromUrl, Throttle } from 'onrush'
import { rateLimit } from 'onrush/express'

export const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
export const middleware = rateLimit({ throttle, key: () => 'one' })
export function isOurs(): boolean {
  try {
    storeFromUrl('nothing://')
  } catch (error) {
    return error instanceof OnrushError
  }
  return false
}
`
const TEST = `
import { isOurs, middleware, throttle } from './service'

test('a check spends one', async () => {
  expect((await throttle.check('key')).remaining).toBe(1)
  expect(typeof middleware).toBe('function')
  expect(isOurs()).toBe(true)
})
`
const TSCONFIG = JSON.stringify({
  compilerOptions: { module: 'commonjs', target: 'es2022', strict: true, esModuleInterop: true, types: ['jest'] },
})
const TYPES = ['typescript@5.9', '@types/node@20', '@types/jest@30', '@types/express@5', 'express@5']

export async function jest(tarball: string): Promise<void> {
  const transforms = { swc: { '\\.ts$': '@swc/jest' }, 'ts-jest': { '\\.ts$': 'ts-jest' } }
  const files = { 'service.ts': SERVICE, 'service.test.ts': TEST, 'tsconfig.json': TSCONFIG }
  using project = new Project(files)
  await project.install(tarball, 'jest@30', 'ts-jest@29', '@swc/jest', '@swc/core', ...TYPES)
  for (const transform of Object.values(transforms)) {
    project.write('jest.config.json', JSON.stringify({ transform }))
    await project.run('node_modules/jest/bin/jest.js')
  }
}

const CONTROLLER = `
import { Controller, Get } from '@nestjs/common'
import { throttle } from './service'

@Controller()
export class AppController {
  @Get()
  async left(): Promise<number> {
    return (await throttle.check('key')).remaining
  }
}
`
const CONTROLLER_TEST = `
import { Test } from '@nestjs/testing'
import { AppController } from './app.controller'

test('a check spends one', async () => {
  const module = await Test.createTestingModule({ controllers: [AppController] }).compile()
  expect(await module.get(AppController).left()).toBe(1)
})
`

/** The configuration that `nest new` writes into package.json and tsconfig.json. */
const NEST_JEST = {
  moduleFileExtensions: ['js', 'json', 'ts'],
  rootDir: 'src',
  testRegex: '.*\\.spec\\.ts$',
  transform: { '^.+\\.(t|j)s$': 'ts-jest' },
  testEnvironment: 'node',
}
const NEST_TSCONFIG = JSON.stringify({
  compilerOptions: {
    ...{ module: 'nodenext', moduleResolution: 'nodenext', esModuleInterop: true, isolatedModules: true },
    ...{ emitDecoratorMetadata: true, experimentalDecorators: true, target: 'ES2023', outDir: './dist' },
    ...{ skipLibCheck: true, strictNullChecks: true, types: ['jest', 'node'] },
  },
})

export async function jestOfNest(tarball: string): Promise<void> {
  using project = new Project({
    'package.json': JSON.stringify({ jest: NEST_JEST }),
    'tsconfig.json': NEST_TSCONFIG,
    'src/service.ts': SERVICE,
    'src/app.controller.ts': CONTROLLER,
    'src/app.controller.spec.ts': CONTROLLER_TEST,
  })
  const nest = ['@nestjs/common@11', '@nestjs/core@11', '@nestjs/platform-express@11', '@nestjs/testing@11']
  await project.install(tarball, ...nest, 'reflect-metadata', 'rxjs', 'jest@30', 'ts-jest@29', ...TYPES)
  await project.run('node_modules/jest/bin/jest.js')
}
