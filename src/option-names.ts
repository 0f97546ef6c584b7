/** Known names of options, so that a misspelled option is refused instead of ignored. */
import { closest, distance } from 'fastest-levenshtein'
import { checkOptions, named } from './arguments.ts'

export type OptionNames = ReadonlySet<string>

type NamesOf<Options> = Options extends unknown ? keyof Options & string : never

/** The names of the options in a type. TypeScript ensures that the list is complete and has no other names. */
export function optionNames<Options>(names: Readonly<Record<NamesOf<Options>, true>>): OptionNames {
  return new Set(Object.keys(names))
}

/**
 * Throws unless `options` is an object whose own names are all known.
 * @throws TypeError that names the unknown option and the nearest known one
 */
export function checkOptionNames(what: string, options: unknown, names: OptionNames): asserts options is object {
  checkOptions(what, options)
  for (const name in options)
    if (!names.has(name) && Object.hasOwn(options, name)) throw unknownOption(what, name, names)
}

function unknownOption(what: string, name: string, names: OptionNames): TypeError {
  const known = [...names]
  const hint = didYouMean(name, known) || `; it takes ${known.join(', ')}`
  return new TypeError(`${what} must not hold ${named(name)}${hint}`)
}

/** The end of an error that names the nearest known name; '' if none is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = closest(name.slice(0, 100), known)
  const isNear = distance(name.slice(0, 100), nearest) <= Math.max(name.length / 2, 2)
  return isNear ? `: did you mean ${nearest}?` : ''
}
