/** Lists the functions of `src` that a check on one Redis enters, alone and in a full call: `npm run trace [-- --json]`. */
import { parseArgs } from 'node:util'
import { enteredByChecks } from '../test/support/entered.ts'

const { json } = parseArgs({ options: { json: { type: 'boolean', default: false } } }).values
const traces = []
for (const checks of [1, 128]) traces.push({ checks, ...(await enteredByChecks(checks)) })
if (json) console.log(JSON.stringify(traces))
else {
  for (const { checks, functions, entries, files } of traces) {
    console.table(functions)
    console.log(`${checks} at once: ${(entries / checks).toFixed(1)} entries a check, in ${files} files`)
  }
}
