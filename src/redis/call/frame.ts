/** Makes the script for checks of several throttles and subjects, `lua/scripts/subjects.lua`, for the algorithms of a call. */

/** What the frame of the script takes from an algorithm. */
export interface AlgorithmParts {
  /** Definitions, which come before the frame. */
  readonly before: string
  /** What stands in each place of the frame. */
  readonly each: readonly string[]
}

const PLACE = /^--#each$/gm

/** @param parts of the algorithms, in the order of their numbers in the call */
export function framed(frame: string, parts: readonly AlgorithmParts[]): string {
  let place = 0
  const body = frame.replace(PLACE, () => {
    const index = place++
    return chosen(parts.map(({ each }) => each[index] ?? ''))
  })
  return [...parts.map(({ before }) => before), body].join('\n')
}

function chosen(blocks: readonly string[]): string {
  const [only = ''] = blocks
  if (blocks.length === 1) return only
  const cases = blocks.map(
    (block, index) => `${index === 0 ? 'if' : 'elseif'} algorithm == ${index + 1} then\n${block}`,
  )
  return `${cases.join('\n')}\nend`
}
