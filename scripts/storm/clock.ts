/**
 * Microseconds by the clock that all processes of the machine share. Not `performance.timeOrigin`, which each process reads from the wall clock when it
 * starts, so that processes disagree by some ms where the wall clock is adjusted.
 */
export function clock(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** What to add for microseconds since the epoch, as a server of this machine tells them. */
export function toEpoch(): number {
  return Date.now() * 1000 - clock()
}
