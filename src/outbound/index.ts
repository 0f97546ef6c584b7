/** `onrush/outbound`: for calls to a vendor's API. Heeds the vendor's own limits and refusals, in all processes. */
export type { OutboundHeaders, OutboundResponse } from './headers.ts'
export { type ObservedLayers, type ObserveOptions, observe } from './observe.ts'
export { type FetchLike, type OutboundFetchOptions, outboundFetch } from './outbound-fetch.ts'
