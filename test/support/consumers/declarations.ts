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

/** An exported name, such as `onrush/http clientIp`. */
interface Exported {
  readonly entry: string
  readonly name: string
  readonly symbol: ts.Symbol
}

export class Declarations {
  readonly exports: readonly Exported[]
  readonly #checker: ts.TypeChecker
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

  /** The types that a declaration names and no entry exports, by the name that shows them. */
  innerTypes(): string[] {
    const known = new Set(this.exports.map(({ symbol }) => symbol))
    const found = new Set<string>()
    for (const { entry, name, symbol } of this.exports) {
      const look = (node: ts.Node): void => {
        if (isPrivate(node)) return
        const type = ts.isTypeReferenceNode(node) ? this.#checker.getSymbolAtLocation(node.typeName) : undefined
        if (type !== undefined && this.#isInner(this.#resolved(type), known))
          found.add(`${entry} ${name}: ${type.name}`)
        ts.forEachChild(node, look)
      }
      for (const declaration of this.#ours(symbol)) look(declaration)
    }
    return [...found]
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
    const given = this.#checker.getNonNullableType(type)
    const types = given.isUnion() ? given.types : [given]
    return types
      .filter(({ symbol }) => symbol?.flags & ts.SymbolFlags.TypeLiteral && this.#ours(symbol).length > 0)
      .flatMap((one) => this.#missingIn(place, one))
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

/** What the compiler says against programs, each line with its file. */
export function faultsOf(files: readonly string[]): string[] {
  const program = ts.createProgram([...files], SETTINGS)
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}
