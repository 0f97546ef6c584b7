/**
 * Measures what contestants cost the server.
 *
 * `INFO commandstats` counts a command called by a script twice: as itself, and in the time of the script (seen on Redis 7.0). So if
 * scripts or transactions ran, only they are counted. Every contestant sends either these or plain commands, never both.
 */
import { Redis } from 'ioredis'

export interface ServerCost {
  /** Commands received over the network. */
  readonly calls: number
  /** Milliseconds spent in these commands. */
  readonly commandTime: number
  /** Processor time of the main thread in ms: commands, network and protocol. */
  readonly processorTime: number
}

interface Reading {
  readonly scripts: Commands
  readonly others: Commands
  readonly processorTime: number
}

interface Commands {
  readonly calls: number
  readonly time: number
}

const SCRIPTS = /^(eval|evalsha|fcall)(_ro)?$|^exec$/
const OWN = /^info$/
const COMMAND = /^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm
const PROCESSOR = /^used_cpu_(?:user|sys)_main_thread:([\d.]+)/gm

export class ServerMeter implements AsyncDisposable {
  readonly #clients: readonly Redis[]

  /** @param ports ports of 127.0.0.1, whose costs are summed */
  constructor(ports: readonly number[]) {
    this.#clients = ports.map((port) => new Redis({ host: '127.0.0.1', port }))
  }

  /** Measures what `work` costs the servers. Nothing else may use them meanwhile. */
  async measure<Result>(work: () => Promise<Result>): Promise<{ result: Result; cost: ServerCost }> {
    const before = await this.#read()
    const result = await work()
    const after = await this.#read()
    const scripts = difference(after.scripts, before.scripts)
    const { calls, time } = scripts.calls > 0 ? scripts : difference(after.others, before.others)
    const processorTime = after.processorTime - before.processorTime
    return { result, cost: { calls, commandTime: time / 1000, processorTime } }
  }

  async flush(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.flushall()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.quit()))
  }

  async #read(): Promise<Reading> {
    const texts = await Promise.all(this.#clients.map((client) => client.info('commandstats', 'cpu')))
    const readings = texts.map(parse)
    return {
      scripts: sum(readings.map(({ scripts }) => scripts)),
      others: sum(readings.map(({ others }) => others)),
      processorTime: readings.reduce((total, { processorTime }) => total + processorTime, 0),
    }
  }
}

function parse(information: string): Reading {
  const commands = [...information.matchAll(COMMAND)].map(([, name = '', calls, time]) => {
    return { name, calls: Number(calls), time: Number(time) }
  })
  const seconds = [...information.matchAll(PROCESSOR)].reduce((total, [, text]) => total + Number(text), 0)
  return {
    scripts: sum(commands.filter(({ name }) => SCRIPTS.test(name))),
    others: sum(commands.filter(({ name }) => !SCRIPTS.test(name) && !OWN.test(name))),
    processorTime: seconds * 1000,
  }
}

function sum(commands: readonly Commands[]): Commands {
  const calls = commands.reduce((total, command) => total + command.calls, 0)
  const time = commands.reduce((total, command) => total + command.time, 0)
  return { calls, time }
}

function difference(after: Commands, before: Commands): Commands {
  return { calls: after.calls - before.calls, time: after.time - before.time }
}
