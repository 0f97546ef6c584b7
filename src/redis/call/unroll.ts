/** Makes the script for checks of several layers from the one for a single layer, `lua/scripts/checks.lua`. */

import { bytesOf, formatOf, HEADER } from './state-records.ts'

/** Around statements that are repeated for each layer, in lines of their own. */
export const EACH = 'EACH'
export const END = 'END'
/** The format and the empty records of all layers, in quotes; beside them `WIDTH`, in bytes. */
export const FORMAT = 'FORMAT'
export const NOTHING = 'NOTHING'

/** The most layers that are unrolled, because a Lua function has at most 200 local variables. */
export const MOST_UNROLLED = 8

/** Names of the first layer end so, or go on with the name of a field. */
const OF_FIRST = /_1(?!\d)/g

const LIST_OF_FIRST = /\b\w+_1\b(?:, \w+_1\b)*/g

/** @param size numbers per state */
export function unrolled(program: string, size: number, layers: number): string {
  const width = layers * bytesOf(size)
  const lines: string[] = []
  let repeated: string[] | undefined
  for (const line of program.split('\n')) {
    if (line === `${EACH}()`) repeated = []
    else if (line === `${END}()`) {
      const block = repeated?.join('\n') ?? ''
      for (let layer = 1; layer <= layers; layer++) lines.push(ofLayer(block, layer))
      repeated = undefined
    } else if (repeated !== undefined) repeated.push(line)
    else lines.push(line.replace(LIST_OF_FIRST, (list) => ofLayers(list, layers)))
  }
  // Of a single record only the numbers behind the header change.
  const [start, format, changed] =
    layers === 1
      ? [String(HEADER), `'<${'d'.repeat(size)}'`, newNumbers(size)]
      : ['0', 'format', ofLayers(`id_1, until_1, ${newNumbers(size)}`, layers)]
  return lines
    .join('\n')
    .replaceAll('CHANGED_START', start)
    .replace('CHANGED_FORMAT', format)
    .replace('CHANGED', changed)
    .replace(FORMAT, `<${formatOf(size).repeat(layers)}`)
    .replace('WIDTH', String(width))
    .replace(NOTHING, '\\255'.repeat(width))
}

/** The names of a state's new numbers. */
function newNumbers(size: number): string {
  return Array.from({ length: size }, (_, index) => `new${index + 1}_1`).join(', ')
}

function ofLayers(list: string, layers: number): string {
  return Array.from({ length: layers }, (_, index) => ofLayer(list, index + 1)).join(', ')
}

function ofLayer(text: string, layer: number): string {
  return text.replace(OF_FIRST, `_${layer}`)
}
