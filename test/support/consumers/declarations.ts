/** The declarations of the built package as an editor reads them: what users can see of each name. */
import { join } from 'node:path'
import ts from 'typescript5.9'
import { entries } from '../../../scripts/package/manifest.ts'

const SETTINGS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ['node'],
}

/** The names of types that hold options, or the fields of a value. */
const OPTIONS = /(?:Options|Fields|Subject)$|^ThrottleLayer$/

/** A part of what a doc comment must say, and the words that say it. */
interface Rule {
  readonly part: 'unit' | 'range' | 'default'
  readonly says: RegExp
}

/** A number says what it counts, or what kind of number it is. */
const UNIT: Rule = {
  part: 'unit',
  says: /µs|\b(?:ms|milliseconds|units|keys|share|bits|proxies|weekday|status|integer|whole number)\b/i,
}
const DURATION_UNIT: Rule = { part: 'unit', says: /\b(?:ms|milliseconds)\b/i }
const RANGE: Rule = {
  part: 'range',
  says: /\b(?:or more|above \d|at least|at most|positive|non-negative|any finite|from \S+(?: \S+)? to)\b/i,
}
const DEFAULT: Rule = { part: 'default', says: /\bdefault\b/i }

/** An exported name, such as `onrush/http clientIp`. */
interface Exported {
  readonly entry: string
  readonly name: string
  readonly symbol: ts.Symbol
}

export class Declarations {
  readonly exports: readonly Exported[]
  readonly #checker: ts.TypeChecker
  readonly #numbers = new Set<string>()
  readonly #folder: string

  /** @param project a folder whose `node_modules` has the package */
  constructor(project: string) {
    this.#folder = join(project, 'node_modules/onrush/')
    const files = new Map([...entries].map(([entry, { types }]) => [entry, join(this.#folder, types.require)]))
    const program = ts.createProgram([...files.values()], { ...SETTINGS, preserveSymlinks: true })
    this.#checker = program.getTypeChecker()
    this.exports = [...files].flatMap(([entry, file]) => {
      const source = program.getSourceFile(file)
      const module = source && this.#checker.getSymbolAtLocation(source)
      if (module === undefined) throw new Error(`${file} is no module`)
      return this.#checker
        .getExportsOfModule(module)
        .map((symbol) => ({ entry, name: symbol.name, symbol: this.#resolved(symbol) }))
    })
  }

  /** Exported names, their members, options and constructors that have no doc comment; of classes, those without an example. */
  undocumented(): string[] {
    const missing = this.exports.flatMap(({ entry, name, symbol }) => {
      const place = `${entry} ${name}`
      return [...this.#missingOf(place, symbol), ...this.#missingMembers(place, symbol)]
    })
    return [...new Set(missing)]
  }

  /** The types that a declaration, or one that it extends or implements, names and no entry exports, by the name that shows them. */
  innerTypes(): string[] {
    const known = new Set(this.exports.map(({ symbol }) => symbol))
    const found = new Set<string>()
    for (const { entry, name, symbol } of this.exports) {
      const looked = new Set<ts.Node>()
      const look = (node: ts.Node): void => {
        if (isPrivate(node) || looked.has(node)) return
        looked.add(node)
        // A base class has no hover of its own, but its members are members of the class.
        if (ts.isExpressionWithTypeArguments(node)) {
          const base = this.#checker.getSymbolAtLocation(node.expression)
          if (base !== undefined) for (const declaration of this.#ours(this.#resolved(base))) look(declaration)
        }
        const type = ts.isTypeReferenceNode(node) ? this.#checker.getSymbolAtLocation(node.typeName) : undefined
        if (type !== undefined && this.#isInner(this.#resolved(type), known))
          found.add(`${entry} ${name}: ${type.name}`)
        ts.forEachChild(node, look)
      }
      for (const declaration of this.#ours(symbol)) look(declaration)
    }
    return [...found]
  }

  /**
   * Options that take a number or a duration and whose doc comment does not say the unit, the range, or what holds when they are not given;
   * inherited options too. `onrush TlruCacheStoreOptions.maxSize: range`.
   */
  untoldNumbers(): string[] {
    const untold = this.exports
      .filter(({ name, symbol }) => OPTIONS.test(name) && !(symbol.flags & ts.SymbolFlags.Class))
      .flatMap(({ entry, name, symbol }) =>
        this.#untoldIn(`${entry} ${name}`, this.#checker.getDeclaredTypeOfSymbol(symbol)),
      )
    return [...new Set(untold)]
  }

  /** How many options take a number or a duration. */
  get numbers(): number {
    return this.#numbers.size
  }

  /** All that an instance or a class offers, inherited members too: `onrush Throttle.check`. */
  membersOfClasses(): string[] {
    return this.exports
      .filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Class)
      .flatMap(({ entry, name, symbol }) =>
        [this.#checker.getTypeOfSymbol(symbol), this.#checker.getDeclaredTypeOfSymbol(symbol)]
          .flatMap((type) => this.#checker.getPropertiesOfType(type))
          .map((member) => `${entry} ${name}.${member.name}`),
      )
  }

  /** The `@example` of each class. */
  examples(): { readonly place: string; readonly entry: string; readonly code: string }[] {
    return this.exports.flatMap(({ entry, name, symbol }) =>
      symbol
        .getJsDocTags(this.#checker)
        .filter((tag) => tag.name === 'example')
        .map(({ text }) => ({ place: `${entry} ${name}`, entry, code: ts.displayPartsToString(text) })),
    )
  }

  #missingOf(place: string, symbol: ts.Symbol): string[] {
    const missing = isDocumented(symbol.getDocumentationComment(this.#checker)) ? [] : [place]
    if (!(symbol.flags & ts.SymbolFlags.Class)) return missing
    if (!symbol.getJsDocTags(this.#checker).some(({ name }) => name === 'example')) missing.push(`${place} @example`)
    const constructors = this.#checker.getTypeOfSymbol(symbol).getConstructSignatures()
    for (const signature of constructors) {
      const declaration: ts.SignatureDeclaration | undefined = signature.getDeclaration()
      if (declaration === undefined || !ts.isConstructorDeclaration(declaration) || isPrivate(declaration)) continue
      if (!isDocumented(signature.getDocumentationComment(this.#checker))) missing.push(`${place} constructor`)
    }
    return missing
  }

  #missingMembers(place: string, symbol: ts.Symbol): string[] {
    const hasMembers = symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)
    if (!hasMembers) return []
    const statics = symbol.flags & ts.SymbolFlags.Class ? [this.#checker.getTypeOfSymbol(symbol)] : []
    return [...statics, this.#checker.getDeclaredTypeOfSymbol(symbol)].flatMap((type) => this.#missingIn(place, type))
  }

  #missingIn(place: string, type: ts.Type): string[] {
    const types = type.isUnion() ? type.types : [type]
    return types
      .flatMap((one) => this.#checker.getPropertiesOfType(one))
      .flatMap((member) => {
        const declarations = this.#ours(member)
        if (declarations.length === 0 || declarations.some(isPrivate) || member.name === 'prototype') return []
        const name = `${place}.${member.name}`
        const missing = isDocumented(member.getDocumentationComment(this.#checker)) ? [] : [name]
        return [...missing, ...this.#missingInOptions(name, this.#checker.getTypeOfSymbol(member))]
      })
  }

  /** Options that are written in place: `breaker?: { failures, … }`. */
  #missingInOptions(place: string, type: ts.Type): string[] {
    return this.#literalsOf(type).flatMap((one) => this.#missingIn(place, one))
  }

  /** The types that are written in place. */
  #literalsOf(type: ts.Type): ts.Type[] {
    const given = this.#checker.getNonNullableType(type)
    const types = given.isUnion() ? given.types : [given]
    return types.filter(({ symbol }) => symbol?.flags & ts.SymbolFlags.TypeLiteral && this.#ours(symbol).length > 0)
  }

  #untoldIn(place: string, type: ts.Type): string[] {
    const types = type.isUnion() ? type.types : [type]
    return types
      .flatMap((one) => this.#checker.getPropertiesOfType(one))
      .filter((member) => this.#ours(member).length > 0)
      .flatMap((member) => {
        const name = `${place}.${member.name}`
        const given = this.#checker.getTypeOfSymbol(member)
        const inPlace = this.#literalsOf(given)
        const literals = inPlace.flatMap((one) => this.#untoldIn(name, one))
        const isDuration = inPlace.length === 0 && this.#ours(member).some((one) => /\bDuration\b/.test(one.getText()))
        if (!isDuration && !this.#takesNumber(given)) return literals
        this.#numbers.add(name)
        const told = ts.displayPartsToString(member.getDocumentationComment(this.#checker))
        const rules = isDuration ? [DURATION_UNIT, RANGE] : [UNIT, RANGE]
        const isOptional = (member.flags & ts.SymbolFlags.Optional) !== 0
        const parts = [...rules, ...(isOptional ? [DEFAULT] : [])]
        return [...literals, ...parts.filter(({ says }) => !says.test(told)).map(({ part }) => `${name}: ${part}`)]
      })
  }

  /** True for a number, or a function that returns one. */
  #takesNumber(type: ts.Type): boolean {
    const given = this.#checker.getNonNullableType(type)
    const types = given.isUnion() ? given.types : [given]
    return types.some(
      (one) =>
        (one.flags & ts.TypeFlags.NumberLike) !== 0 ||
        one.getCallSignatures().some((signature) => (signature.getReturnType().flags & ts.TypeFlags.NumberLike) !== 0),
    )
  }

  #isInner(symbol: ts.Symbol, known: ReadonlySet<ts.Symbol>): boolean {
    return !known.has(symbol) && this.#ours(symbol).some((one) => !ts.isTypeParameterDeclaration(one))
  }

  #ours({ declarations = [] }: ts.Symbol): ts.Declaration[] {
    return declarations.filter((declaration) => declaration.getSourceFile().fileName.startsWith(this.#folder))
  }

  #resolved(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
  }
}

function isDocumented(parts: ts.SymbolDisplayPart[]): boolean {
  return ts.displayPartsToString(parts).trim() !== ''
}

/** `'#Quota'` stands in the declarations for the private fields of `Quota`. */
function isPrivate(node: ts.Node): boolean {
  return ts.isClassElement(node) && (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0
}

/** The compiler's errors about programs, each with its file. */
export function faultsOf(files: readonly string[]): string[] {
  const program = ts.createProgram([...files], SETTINGS)
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}
