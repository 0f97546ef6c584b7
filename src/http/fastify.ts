/** `onrush/fastify`: a plugin for Fastify 5. It limits the routes of the scope that it is registered in. */
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { named } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { checkPeerDependency } from '../peer-dependency.ts'
import type { RateLimitResult } from '../result.ts'
import { decideForNode, headersOfReply } from './node-response.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts'
import { RequestLimit } from './request-limit.ts'
import {
  overlaid,
  REQUEST_LIMIT_NAMES,
  REQUEST_LIMIT_OPTIONS,
  type RequestLimitOptions,
} from './request-limit-options.ts'

checkPeerDependency('onrush/fastify', 'fastify', '5.0')

/** Options that a route can override. */
export interface FastifyRouteRateLimitOptions
  extends RequestLimitOptions<[request: FastifyRequest, reply: FastifyReply]> {
  /** Answers a refused request; the header fields are set. Default: status 429 and problem details. */
  readonly onLimited?: ((result: RateLimitResult, request: FastifyRequest, reply: FastifyReply) => unknown) | undefined
}

/** The options of `rateLimit` of `onrush/fastify`. */
export interface FastifyRateLimitOptions extends FastifyRouteRateLimitOptions {
  /** When it is decided: `'preHandler'` for a key that needs the body. Default `'onRequest'`. */
  readonly hook?: 'onRequest' | 'preHandler' | undefined
}

const OPTIONS = optionNames<FastifyRateLimitOptions>({ ...REQUEST_LIMIT_NAMES, hook: true })

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Options of `onrush/fastify` for this route, over those of the plugin; `false`: no limit. */
    onrush?: Partial<FastifyRouteRateLimitOptions> | false
  }
}

/**
 * Makes the plugin.
 * @throws TypeError or RangeError for wrong options; those of a route are thrown when it is added.
 */
export function rateLimit(options: FastifyRateLimitOptions): FastifyPluginCallback {
  const answer = answerBy(options)
  const { hook = 'onRequest' } = options
  if (hook !== 'onRequest' && hook !== 'preHandler') {
    throw new RangeError(`hook must be 'onRequest' or 'preHandler', got ${named(hook)}`)
  }
  const ofRoutes = new WeakMap<object, Answer>()

  function answerOf(own: Partial<FastifyRouteRateLimitOptions>): Answer {
    const ready = ofRoutes.get(own)
    if (ready !== undefined) return ready
    checkOptionNames('config.onrush', own, REQUEST_LIMIT_OPTIONS)
    const made = answerBy(overlaid(options, own))
    ofRoutes.set(own, made)
    return made
  }

  const plugin: FastifyPluginCallback = (scope, _options, done) => {
    scope.addHook('onRoute', ({ config }) => {
      if (config?.onrush) answerOf(config.onrush)
    })
    scope.addHook(hook, (request, reply) => {
      const { onrush } = request.routeOptions.config
      if (onrush === false) return NO_ANSWER
      return onrush === undefined ? answer(request, reply) : answerOf(onrush)(request, reply)
    })
    done()
  }
  return fastifyPlugin(plugin, { fastify: '5.x', name: 'onrush' })
}

/** Shared by all requests that are not limited. */
const NO_ANSWER = Promise.resolve(undefined)

/** Resolves to the reply if the request is refused, by which Fastify knows that the reply was sent. */
type Answer = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>

function answerBy(options: FastifyRouteRateLimitOptions): Answer {
  const limit = new RequestLimit(options, OPTIONS)
  const { onLimited = refuse } = options
  return async (request, reply) => {
    const decision = await decideForNode(limit, reply.raw, request, reply)
    decision?.writeHeaders(headersOfReply(reply))
    if (!decision?.result.limited) return undefined
    await onLimited(decision.result, request, reply)
    return reply
  }
}

function refuse(result: RateLimitResult, _request: FastifyRequest, reply: FastifyReply): void {
  reply
    .code(429)
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemDetails(result)))
}
