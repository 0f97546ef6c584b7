/** @returns undefined where it cannot be loaded: it is not installed, or the bundle cannot hold it */
export declare function loadIoredis(): typeof import('ioredis') | undefined
