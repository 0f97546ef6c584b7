/**
 * Loads Temporal only when a calendar quota is made, so that nobody else pays for the polyfill. CommonJS, because only `require` is both
 * synchronous and seen by bundlers. The runtime's own Temporal is preferred.
 */
exports.loadTemporal = function loadTemporal() {
  return globalThis.Temporal ?? require('temporal-polyfill').Temporal
}
