/** Tells when a call is no longer in flight: once the body of its response has ended. */
import type { OutboundResponse } from './headers.ts'

/** The caller's `fetch` arguments, with a signal that aborts as theirs does, or as `lost` does. */
export function abortedBy(
  lost: AbortSignal,
  own: AbortSignal | undefined,
  [input, init]: Parameters<typeof fetch>,
): Parameters<typeof fetch> {
  return [input, { ...init, signal: own === undefined ? lost : AbortSignal.any([own, lost]) }]
}

/**
 * The response, or one that differs from it in nothing but the stream of its body.
 * @param ended called once the body has been read to its end, has failed, or has been cancelled; at once if there is none
 */
export function untilRead<Answer extends OutboundResponse>(response: Answer, ended: () => void): Answer
export function untilRead(response: OutboundResponse, ended: () => void): OutboundResponse {
  const body = 'body' in response ? response.body : response
  if (body instanceof ReadableStream && !body.locked) return withBody(response, watched(body, ended))
  if (isOpenNodeStream(body)) body.once('close', ended)
  else ended()
  return response
}

interface NodeStream {
  readonly once: (event: 'close', listener: () => void) => unknown
}

/** Of undici's `request`, or `node:http`. */
function isOpenNodeStream(body: unknown): body is NodeStream {
  if (typeof body !== 'object' || body === null || !('once' in body) || typeof body.once !== 'function') return false
  return !('closed' in body && body.closed === true)
}

/** The stream, read by a new one. */
function watched(body: ReadableStream<Uint8Array<ArrayBuffer>>, ended: () => void): ReadableStream {
  const reader = body.getReader()
  // A failure is told although nobody reads.
  reader.closed.then(ended, ended)
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      let read = await reader.read()
      // A stream of bytes takes no empty chunk.
      while (!read.done && read.value.byteLength === 0) read = await reader.read()
      if (!read.done) {
        controller.enqueue(read.value)
        return
      }
      controller.close()
      controller.byobRequest?.respond(0)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

/** Not options of the constructor, because it takes neither a `url` nor every status that a server may send. */
const SHOWN = ['status', 'statusText', 'ok', 'url', 'redirected', 'type']

function withBody(response: OutboundResponse, body: ReadableStream): OutboundResponse {
  if (!('clone' in response)) return Object.create(response, { body: { value: body, enumerable: true } })
  // Its own class, because undici's is another than the global one.
  return shownAs(response, Reflect.construct(response.constructor, [body, { headers: response.headers }]))
}

function shownAs(response: object, made: Response): Response {
  for (const name of SHOWN) Object.defineProperty(made, name, { value: Reflect.get(response, name) })
  const clone = made.clone.bind(made)
  return Object.defineProperty(made, 'clone', { value: () => shownAs(response, clone()) })
}
