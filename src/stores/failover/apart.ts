/** What the fallback of a FailoverStore counts must not be counted twice under one name. */

/**
 * Refuses quotas whose shares are equal, because the fallback would count them as one.
 * @throws RangeError
 */
export function checkApart(states: readonly string[]): void {
  const twice = states.find((state, index) => states.indexOf(state) !== index)
  if (twice !== undefined) {
    throw new RangeError(`two quotas have equal shares of the state ${twice}: give them names of their own`)
  }
}
