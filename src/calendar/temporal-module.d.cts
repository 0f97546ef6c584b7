/** @returns the runtime's own Temporal, or that of temporal-polyfill */
export declare function loadTemporal(): typeof import('temporal-polyfill').Temporal
