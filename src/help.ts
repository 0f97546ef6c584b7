/** Where the documentation explains a code. */

/** The page with a section for each code of an error or warning. */
const ERRORS_PAGE = 'https://github.com/onrush/onrush/blob/HEAD/docs/errors.md'

/** The link to a code's section in docs/errors.md. */
export function helpOf(code: string): string {
  return `${ERRORS_PAGE}#${code.toLowerCase()}`
}
