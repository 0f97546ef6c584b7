/** `onrush/http`: header fields, problem details and client addresses, for any HTTP server. */
export { type ClientIpOptions, clientIp, type NodeRequestOrigin, type RequestOrigin } from './client-ip.ts'
export { type HeaderStandard, type RateLimitHeadersOptions, rateLimitHeaders } from './headers.ts'
export { PROBLEM_MEDIA_TYPE, problemDetails, type QuotaExceededProblem } from './problem-details.ts'
export { reservationOf } from './reservation-of.ts'
