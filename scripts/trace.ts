/** Lists the functions of `src` that a check on one Redis enters, alone and in a full call: `npm run trace`. */
import { enteredByChecks } from '../test/support/entered.ts'

for (const checks of [1, 128]) {
  const { functions, entries, files } = await enteredByChecks(checks)
  console.table(functions.map(({ file, name, count }) => ({ file, name, entries: count })))
  console.log(`${checks} at once: ${(entries / checks).toFixed(1)} entries a check, in ${files} files`)
}
