/** @returns undefined where ioredis is not installed */
export declare function loadIoredis(): typeof import('ioredis') | undefined
