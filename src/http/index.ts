/** `onrush/http`: what every HTTP server needs to speak of a result, whatever its framework. */
export { type ClientIpOptions, clientIp, type NodeRequestOrigin, type RequestOrigin } from './client-ip.ts'
export { type HeaderStandard, type RateLimitHeadersOptions, rateLimitHeaders } from './headers.ts'
export { PROBLEM_MEDIA_TYPE, problemDetails, type QuotaExceededProblem } from './problem-details.ts'
