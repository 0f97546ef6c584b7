/**
 * ioredis, loaded where a store makes a client of its own, so that onrush can be imported without it. CommonJS, because only
 * `require` loads at once and is seen by bundlers; in `try`, because bundlers then accept that ioredis is not installed.
 */
exports.loadIoredis = function loadIoredis() {
  try {
    return require('ioredis')
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
