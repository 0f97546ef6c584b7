/** @returns `undefined` if ioredis cannot be loaded: it is not installed, or the bundle left it out */
export declare function loadIoredis(): typeof import('ioredis') | undefined
