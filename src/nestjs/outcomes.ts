/** Decisions that wait for the outcome of their handler, where it has no HTTP response of its own: fields of GraphQL, messages of websockets. */
import type { ServerResponse } from 'node:http'
import type { ExecutionContext } from '@nestjs/common'
import type { Decision } from '../http/request-limit.ts'

/** By the arguments of the handler, an array that Nest hands to the guards and interceptors of one call. */
const waiting = new WeakMap<object, Set<Decision>>()

/**
 * @param response of a query of GraphQL; its end settles what no interceptor did, because a later guard refused the field
 */
export function expectOutcome(
  context: ExecutionContext,
  decision: Decision,
  response: ServerResponse | undefined,
): void {
  const args = context.getArgs()
  const decisions = waiting.get(args) ?? new Set()
  waiting.set(args, decisions.add(decision))
  response?.once('close', () => {
    if (decisions.delete(decision)) void decision.ended(response.statusCode)
  })
}

/** Takes the decisions of a call, each of which the caller must tell its outcome. */
export function takeExpected(context: ExecutionContext): readonly Decision[] {
  const decisions = waiting.get(context.getArgs())
  if (decisions === undefined) return []
  const taken = [...decisions]
  decisions.clear()
  return taken
}
