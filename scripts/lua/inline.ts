/** Inlines Lua functions, because in Redis's Lua a call costs as much as the body of most of our functions. */
import {
  type CallExpression,
  type FunctionDeclaration,
  type Identifier,
  type Node,
  parse,
  type Statement,
} from 'luaparse'
import { namesIn, sourceOf, variablesIn } from './syntax.ts'

interface Inlined {
  readonly parameters: readonly string[]
  readonly body: readonly Statement[]
  /** Names of parameters and locals. */
  readonly own: ReadonlySet<string>
  readonly assigned: ReadonlySet<string>
}

/**
 * Inlines the program's top-level functions into statements that consist of just a call: `local a, b = f(x)`, `a, b = f(x)`, and, within
 * such functions, `return f(x)`.
 */
export function inlined(program: string): string {
  return new Inliner(program).text()
}

class Inliner {
  readonly #program: string
  readonly #functions = new Map<string, Inlined>()
  /** Names declared anywhere below the top level. */
  readonly #inner = new Set<string>()
  #results = 0
  /** Parameters of the function being rendered that stand for a variable of the caller, by name. */
  #renamed: ReadonlyMap<string, string> = new Map()

  constructor(program: string) {
    this.#program = program
  }

  text(): string {
    const { body } = parse(this.#program, { ranges: true, luaVersion: '5.1' })
    for (const statement of body) {
      if (statement.type !== 'FunctionDeclaration')
        for (const name of localsIn(childrenOf(statement))) this.#inner.add(name)
      else this.#add(statement)
    }
    return body
      .map((statement) => (isFunction(statement) ? this.#source(statement) : this.#render(statement)))
      .join('\n')
  }

  #add({ identifier, parameters, body }: FunctionDeclaration): void {
    const names = parameters.flatMap((parameter) => (parameter.type === 'Identifier' ? [parameter.name] : []))
    const own = new Set([...names, ...localsIn(body)])
    for (const name of own) this.#inner.add(name)
    if (identifier?.type !== 'Identifier' || names.length < parameters.length || !endsInReturn(body)) return
    this.#functions.set(identifier.name, { parameters: names, body, own, assigned: new Set(assignedIn(body)) })
  }

  /** @param targets the variables that receive the returned values. `undefined`: outside of functions. */
  #render(statement: Statement, targets?: readonly string[], isLast = false): string {
    if (statement.type === 'LocalStatement' || statement.type === 'AssignmentStatement') {
      const [init, second] = statement.init
      const call = second === undefined ? this.#calls(init) : undefined
      if (call === undefined) return this.#source(statement)
      const names = statement.variables.map((variable) => this.#source(variable))
      return this.#renderCall(call, names, statement.type === 'LocalStatement')
    }
    if (statement.type === 'IfStatement') {
      const clauses = statement.clauses.map((clause, place) => {
        const body = this.#renderAll(clause.body, targets)
        if (clause.type === 'ElseClause') return `else\n${body}`
        return `${place === 0 ? 'if' : 'elseif'} ${this.#source(clause.condition)} then\n${body}`
      })
      return `${clauses.join('\n')}\nend`
    }
    if (statement.type === 'ForNumericStatement') {
      const { variable, start, end, step, body } = statement
      const bounds = [start, end, ...(step === null ? [] : [step])].map((bound) => this.#source(bound)).join(', ')
      return `for ${variable.name} = ${bounds} do\n${this.#renderAll(body)}\nend`
    }
    if (statement.type === 'WhileStatement') {
      return `while ${this.#source(statement.condition)} do\n${this.#renderAll(statement.body)}\nend`
    }
    if (statement.type === 'ReturnStatement' && targets !== undefined) {
      const [only, second] = statement.arguments
      const call = second === undefined ? this.#calls(only) : undefined
      const values = statement.arguments.map((value) => this.#source(value))
      const given = call === undefined ? assignment(targets, values) : this.#renderCall(call, targets, false)
      return isLast ? given : `${given}\nbreak`
    }
    return this.#source(statement)
  }

  #renderAll(body: readonly Statement[], targets?: readonly string[], isFunction = false): string {
    return body.map((one, place) => this.#render(one, targets, isFunction && place === body.length - 1)).join('\n')
  }

  #renderCall(call: CallExpression, targets: readonly string[], areNew: boolean): string {
    const name = this.#source(call.base)
    const called = this.#functions.get(name)
    if (called === undefined) throw new Error(`${name} is no function of the program`)
    this.#checkFree(name, called)
    const { parameters, body, own, assigned } = called
    const hidden = targets.some((target) => own.has(target))
    const into = hidden ? targets.map(() => `result${++this.#results}`) : targets
    const renamed = new Map<string, string>()
    const bound = parameters.flatMap((parameter, place) => {
      const argument = call.arguments[place]
      const value = argument === undefined ? 'nil' : this.#source(argument)
      if (assigned.has(parameter)) return [{ parameter, value }]
      // A variable needs no copy: while the function runs, nothing assigns to it, because the targets are assigned last.
      if (argument?.type === 'Identifier' && !own.has(value)) renamed.set(parameter, value)
      else if (value !== parameter) return [{ parameter, value }]
      return []
    })
    const lines: string[] = []
    if (areNew || hidden) lines.push(`local ${into.join(', ')}`)
    lines.push('do')
    if (bound.length > 0) {
      lines.push(`local ${bound.map((one) => one.parameter).join(', ')} = ${bound.map((one) => one.value).join(', ')}`)
    }
    const outside = this.#renamed
    this.#renamed = renamed
    const text = this.#renderAll(body, into, true)
    this.#renamed = outside
    const leavesEarly = body.slice(0, -1).some((statement) => returnsIn(statement))
    lines.push(...(leavesEarly ? ['repeat', text, 'until true'] : [text]), 'end')
    if (hidden) lines.push(`${areNew ? 'local ' : ''}${targets.join(', ')} = ${into.join(', ')}`)
    return lines.join('\n')
  }

  /** Throws if a free variable of the function could mean another variable at the call. */
  #checkFree(name: string, { body, own }: Inlined): void {
    for (const free of namesIn(body)) {
      if (!own.has(free) && this.#inner.has(free))
        throw new Error(`${name} names ${free}, which is something else elsewhere`)
    }
  }

  #calls(value: Node | undefined): CallExpression | undefined {
    if (value?.type !== 'CallExpression' || value.base.type !== 'Identifier') return undefined
    return this.#functions.has(value.base.name) ? value : undefined
  }

  #source(node: Node): string {
    const source = sourceOf(this.#program, node)
    if (this.#renamed.size === 0) return source
    const start = node.range?.[0] ?? 0
    const variables = [...variablesIn(node)].sort((a, b) => placeOf(b) - placeOf(a))
    return variables.reduce((text, variable) => {
      const by = this.#renamed.get(variable.name) ?? variable.name
      const at = placeOf(variable) - start
      return text.slice(0, at) + by + text.slice(at + variable.name.length)
    }, source)
  }
}

/** Assigns values to variables, except to those that have them. */
function assignment(targets: readonly string[], values: readonly string[]): string {
  const changed =
    targets.length === values.length ? targets.filter((target, place) => values[place] !== target) : targets
  if (changed.length === 0) return ''
  const given = targets.length === values.length ? values.filter((value, place) => targets[place] !== value) : values
  return `${changed.join(', ')} = ${given.join(', ')}`
}

function placeOf({ range, name }: Identifier): number {
  if (range === undefined) throw new Error(`${name} was parsed without its range`)
  return range[0]
}

function isFunction(statement: Statement): statement is FunctionDeclaration {
  return statement.type === 'FunctionDeclaration'
}

function endsInReturn(body: readonly Statement[]): boolean {
  return body.at(-1)?.type === 'ReturnStatement' && !body.some((statement) => loopsIn(statement))
}

function childrenOf(statement: Statement): readonly Statement[] {
  if (statement.type === 'IfStatement') return statement.clauses.flatMap((clause): Statement[] => clause.body)
  return 'body' in statement && Array.isArray(statement.body) ? statement.body : []
}

function returnsIn(statement: Statement): boolean {
  return statement.type === 'ReturnStatement' || childrenOf(statement).some(returnsIn)
}

function loopsIn(statement: Statement): boolean {
  return /^(For|While|Repeat|Do|Function)/.test(statement.type) || childrenOf(statement).some(loopsIn)
}

function* localsIn(body: readonly Statement[]): Iterable<string> {
  for (const statement of body) {
    if (statement.type === 'LocalStatement') for (const { name } of statement.variables) yield name
    if (statement.type === 'ForNumericStatement') yield statement.variable.name
    yield* localsIn(childrenOf(statement))
  }
}

function* assignedIn(body: readonly Statement[]): Iterable<string> {
  for (const statement of body) {
    if (statement.type === 'AssignmentStatement') {
      for (const variable of statement.variables) if (variable.type === 'Identifier') yield variable.name
    }
    yield* assignedIn(childrenOf(statement))
  }
}
