/** One process of a crew: performs tasks until its parent exits. */
import { perform, type Task } from './tasks.ts'

process.on('disconnect', () => process.exit())
process.on('message', async (text) => {
  const task: Task = JSON.parse(String(text))
  send(await perform(task))
})
send('ready')

function send(answer: unknown): void {
  if (process.send === undefined) throw new Error('This program is started by a crew only')
  process.send(JSON.stringify(answer ?? null))
}
