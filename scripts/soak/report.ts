/** Collects the results of a soak, and prints the report. */
import type { Report } from '../../test/support/faults/load.ts'

/** Memory and handles that a process holds. */
export interface Holdings {
  /** Bytes. */
  readonly heap: number
  /** Sockets, timers and the like, by kind. */
  readonly handles: ReadonlyMap<string, number>
}

export class Tally {
  readonly violations: string[] = []
  readonly #faults = new Map<string, number>()
  readonly #failures = new Map<string, number>()
  #checks = 0

  /** @param where the round and store, which the report names with each violation */
  add(where: string, { asked, failures, violations }: Report): void {
    this.#checks += asked
    for (const [name, count] of failures) this.#failures.set(name, (this.#failures.get(name) ?? 0) + count)
    for (const violation of violations) this.violations.push(`${where}: ${violation}`)
  }

  struck(fault: string): void {
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1)
  }

  print(start: Holdings, end: Holdings): void {
    console.log(`
faults       ${listed(this.#faults)}
checks       ${this.#checks.toLocaleString('en')}
failed       ${listed(this.#failures)}
violations   ${this.violations.length}
heap         ${megabytes(start.heap)} at the start, ${megabytes(end.heap)} at the end
handles      ${listed(start.handles)} at the start, ${listed(end.handles)} at the end`)
    for (const violation of this.violations) console.log(`- ${violation}`)
  }
}

function listed(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return 'none'
  return [...counts].map(([name, count]) => `${name} ${count.toLocaleString('en')}`).join(', ')
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
