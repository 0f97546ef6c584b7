/**
 * Optional packages beside onrush. package.json takes any version of them, so that none can block an installation; what needs
 * one checks its version here, when it is loaded.
 */
import { PeerDependencyError } from './errors.ts'

/**
 * A package that cannot be looked up passes: it is not installed, or a bundler has put it in, or there are no files.
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
    // As if nothing were installed.
  }
  return undefined
}

/**
 * `require` as it is for this file, or for the bundle that this file is in.
 * @throws anything where there is no such function
 */
export function projectRequire(): NodeJS.Require {
  // Not imported, because a browser has no such module.
  return globalThis.process.getBuiltinModule('node:module').createRequire(import.meta.url)
}

/** By its path, because `exports` of a package may hide its package.json. */
function versionAt(load: NodeJS.Require, path: string): string | undefined {
  try {
    const { version }: { version?: unknown } = load(path)
    return typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}
