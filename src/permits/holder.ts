/** The name of a store object among all that hold permits: 53 random bits. */
export function randomHolder(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return high * 2 ** 21 + (low >>> 11)
}
