/** `onrush/nestjs` and `@throttled` in a project of each supported version of NestJS, compiled with legacy decorators by TypeScript. */
import { PROGRAM } from './nest-program.ts'
import { expectEqual, Project } from './project.ts'

/** Versions of Nest, of its packages for GraphQL, and the module format: from version 12 on, Nest is of ES modules. */
const VERSIONS = [
  { nest: '11', graphql: '13', type: 'commonjs' },
  { nest: '12', graphql: '14', type: 'module' },
]

const NEST = [
  'common',
  'core',
  'platform-express',
  'platform-fastify',
  'platform-socket.io',
  'platform-ws',
  'websockets',
]
const GRAPHQL = ['graphql', 'apollo', 'mercurius']
const OTHERS = [
  ...['@apollo/server@5', '@as-integrations/express5', 'mercurius@16', 'graphql@16', 'rxjs@7', 'reflect-metadata@0.2'],
  ...['socket.io-client@4', 'ws@8', '@types/ws@8', '@types/node@20', '@types/express@5', 'typescript@5.9'],
]

const SETTINGS = [
  ...[
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--strict',
    '--skipLibCheck',
    '--esModuleInterop',
    '--types',
    'node',
  ],
  ...['--experimentalDecorators', '--emitDecoratorMetadata', '--pretty', 'false'],
]

const PRINTED = [
  ...['forRoot ExpressAdapter', 'forRoot FastifyAdapter', 'forRootAsync ExpressAdapter', 'forRootAsync FastifyAdapter'],
  ...['ApolloDriver', 'MercuriusDriver', 'IoAdapter', 'WsAdapter', ''],
].join('\n')

export async function nest(tarball: string): Promise<void> {
  for (const { nest, graphql, type } of VERSIONS) {
    using project = new Project({ 'package.json': JSON.stringify({ type }), 'program.ts': PROGRAM })
    const packages = [
      ...NEST.map((name) => `@nestjs/${name}@${nest}`),
      ...GRAPHQL.map((name) => `@nestjs/${name}@${graphql}`),
    ]
    await project.install(tarball, ...packages, ...OTHERS)
    await project.run('node_modules/typescript/bin/tsc', [...SETTINGS, 'program.ts'])
    expectEqual(await project.run('program.js', [], process.execPath), PRINTED)
  }
}
