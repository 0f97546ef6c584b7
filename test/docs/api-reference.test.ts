/** The API reference (`npm run docs:api`) covers every entry of the package. */
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { entries, ROOT } from '../../scripts/package/manifest.ts'

test('each entry of the package is in the API reference', () => {
  const folder = resolve(ROOT, 'scripts/api-reference')
  const { entryPoints }: { entryPoints: string[] } = JSON.parse(readFileSync(`${folder}/typedoc.json`, 'utf8'))
  const documented = entryPoints.map((path) => relative(ROOT, resolve(folder, path)))
  const sources = [...entries.values()].map(({ module }) =>
    module.replace('./dist/esm/', 'src/').replace(/\.js$/, '.ts'),
  )
  expect(documented.toSorted()).toEqual(sources.toSorted())
})
