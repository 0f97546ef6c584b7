/**
 * Loads ioredis only when a store makes a client, so that onrush can be imported without ioredis. CommonJS, because only `require` is both
 * synchronous and seen by bundlers. In `try`, because bundlers then accept that ioredis is not installed.
 */
exports.loadIoredis = function loadIoredis() {
  try {
    return require('ioredis')
  } catch {
    return undefined
  }
}
