/**
 * Stands for `ioredis-module.cjs` in bundles for browsers and edge functions (`imports` of package.json), which refuse ioredis even where it is
 * installed and not used, because ioredis imports modules of Node.
 */
export function loadIoredis(): undefined {
  return undefined
}
