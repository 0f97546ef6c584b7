/**
 * Versions of optional peer dependencies. package.json accepts any version, so that none can block an installation; code that needs a
 * package checks its version here on first use.
 */
import { PeerDependencyError } from './errors.ts'
import { builtin } from './runtime.ts'

/**
 * Throws for a version that is too old. A package that cannot be found passes: it may not be installed, may be bundled, or there may be no
 * file system.
 * @param user what needs the package, for the message
 * @param oldest the oldest version that is supported: `5.4`
 * @throws PeerDependencyError when the installed version is older
 */
export function checkPeerDependency(user: string, name: string, oldest: string): void {
  const found = installedVersion(name)
  if (found !== undefined && isOlder(found, oldest)) {
    throw new PeerDependencyError(name, found, `${user} needs ${name} ${oldest} or later, found ${found}`)
  }
}

function isOlder(found: string, oldest: string): boolean {
  const [foundMajor = 0, foundMinor = 0] = found.split('.').map(Number)
  const [major = 0, minor = 0] = oldest.split('.').map(Number)
  return foundMajor < major || (foundMajor === major && foundMinor < minor)
}

function installedVersion(name: string): string | undefined {
  try {
    const load = projectRequire()
    for (const directory of load.resolve.paths(name) ?? []) {
      const version = versionAt(load, `${directory}/${name}/package.json`)
      if (version !== undefined) return version
    }
  } catch {
    // No `require` here, so treat the package as not found.
  }
  return undefined
}

/**
 * A `require` that resolves from this file, or from the bundle that contains this file.
 * @throws any error if the runtime has no such function
 */
export function projectRequire(): NodeJS.Require {
  const module = builtin('node:module')
  if (module === undefined) throw new Error('this runtime has no require')
  return module.createRequire(import.meta.url)
}

/** Reads package.json by its path, because a package's `exports` may hide it. */
function versionAt(load: NodeJS.Require, path: string): string | undefined {
  try {
    const { version }: { version?: unknown } = load(path)
    return typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}
