/** Bundles the command line, and the licenses of all packages in the bundle. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type OutputChunk, rolldown } from 'rolldown'
import { ROOT } from './manifest.ts'

export async function bundleCommandLine(dir: string): Promise<void> {
  const bundle = await rolldown({
    input: { main: join(ROOT, 'src/cli/main.ts') },
    transform: { target: 'node20.19' },
    platform: 'node',
  })
  const { output } = await bundle.write({ dir, format: 'esm', chunkFileNames: 'chunks/[name].js', minify: true })
  await bundle.close()
  const chunks = output.filter((file) => file.type === 'chunk')
  await writeFile(join(dir, 'THIRD-PARTY-LICENSES'), await licensesOf(packagesIn(chunks)))
}

/** The folders of the packages whose modules are in the bundle. */
function packagesIn(chunks: readonly OutputChunk[]): string[] {
  const folders = chunks
    .flatMap(({ moduleIds }) => moduleIds)
    .flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

async function licensesOf(folders: readonly string[]): Promise<string> {
  const texts = folders.map(async (folder) => {
    const manifest: { readonly name: string; readonly version: string; readonly license?: string } = JSON.parse(
      await readFile(join(folder, 'package.json'), 'utf8'),
    )
    const file = (await readdir(folder)).find((name) => /^licen[cs]e/i.test(name))
    const text =
      file === undefined
        ? `License: ${manifest.license ?? 'see its repository'}`
        : await readFile(join(folder, file), 'utf8')
    return `${manifest.name} ${manifest.version}\n\n${text.trim()}\n`
  })
  return `The command line contains:\n\n${(await Promise.all(texts)).join('\n---\n\n')}`
}
