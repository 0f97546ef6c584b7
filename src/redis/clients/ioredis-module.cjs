/**
 * ioredis, loaded where a store makes a client of its own, so that onrush can be imported without it. CommonJS, because only
 * `require` loads at once and is seen by bundlers; in `try`, because bundlers then accept that ioredis is not installed.
 */
exports.loadIoredis = function loadIoredis() {
  try {
    return require('ioredis')
  } catch {
    return undefined
  }
}
