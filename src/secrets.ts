/** Masks passwords in texts for errors. In doubt a text is masked. */

/** URL options whose values are not secret. */
const SHOWN_OPTIONS: ReadonlySet<string> = new Set(
  'prefix timeout shards resend family tls db maxSize ttl sentinelUsername'.split(' '),
)

const SCHEME = /^\s*[a-z][a-z0-9+.-]*:\/\//i
const SCHEME_ALONE = /^\s*[a-z][a-z0-9+.-]*:/i
/** Redis URLs whose path may be longer than the number of a database. */
const HAS_LONG_PATH = /^\s*redis\+(?:sentinel|unix):/i
const HOST = /^(?:(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?)?$/i
const SIMPLE = /^[\w.~-]*$/
const HIDDEN = '***'

/** True for a text of letters, digits, `_`, `.`, `~` and `-` only. No password can be a part of such a text, because it has no separator. */
export function isSimple(text: string): boolean {
  return SIMPLE.test(text)
}

/** A URL with `***` in place of its password and of any part that may belong to one, such as a path where the scheme allows none. */
export function urlWithoutSecrets(url: string): string {
  const at = url.lastIndexOf('@')
  if (at < 0) {
    const scheme = SCHEME.exec(url)?.[0]
    return scheme === undefined ? (SCHEME_ALONE.exec(url)?.[0] ?? '') + HIDDEN : scheme + place(url, scheme.length)
  }
  const colon = url.search(/:(?!\/\/)/)
  const user = colon >= 0 && colon < at ? `${url.slice(0, colon)}:${HIDDEN}@` : url.slice(0, at + 1)
  return user + place(url, at + 1)
}

/** Masks hosts, path, query and fragment, from `start` on. Everything after the first masked part is masked too. */
function place(url: string, start: number): string {
  const [, hosts = '', path = '', query, fragment] = /^([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(url.slice(start)) ?? []
  const areHosts = hosts.split(',').every((host) => HOST.test(host))
  const isPath = areHosts && (HAS_LONG_PATH.test(url) ? /^[\w./-]*$/ : /^\/?\d*$/).test(path)
  return [
    areHosts ? hosts : HIDDEN,
    isPath ? path : path === '' ? '' : `/${HIDDEN}`,
    query === undefined ? '' : `?${isPath ? query.slice(1).split('&').map(option).join('&') : HIDDEN}`,
    fragment === undefined ? '' : `#${HIDDEN}`,
  ].join('')
}

function option(text: string): string {
  const [name = '', ...values] = text.split('=')
  const value = values.join('=')
  if (SHOWN_OPTIONS.has(name) && isSimple(value)) return text
  return values.length > 0 && isSimple(name) ? `${name}=${HIDDEN}` : HIDDEN
}

/** Masks passwords in a text if it looks like a URL. */
export function textWithoutSecrets(text: string): string {
  const colon = text.indexOf(':')
  return text.includes('://') || (colon >= 0 && colon < text.lastIndexOf('@')) ? urlWithoutSecrets(text) : text
}

/** A quoted text, with or without its closing quote. */
const QUOTED = /(['"`])((?:(?!\1)[^\\]|\\.)*)(\1|$)/gs
const SECRET_FIELD = /(\w*(?:password|passwd|pwd|secret|token|auth)\w*['"]?: )(?:'[^']*'?|"[^"]*"?|`[^`]*`?)/gi

/** Masks passwords and URLs in the output of `inspect`. */
export function inspectedWithoutSecrets(text: string): string {
  return text
    .replace(QUOTED, (_, quote: string, inner: string, end: string) => quote + textWithoutSecrets(inner) + end)
    .replace(SECRET_FIELD, `$1'${HIDDEN}'`)
}
