/** Warns of a setup that harms limits: as a process warning, and to subscribers of `warnings`. */
import { type WarningEvent, warnings } from '../../events.ts'
import { warnProcess } from '../../process-warning.ts'

export function warn(code: WarningEvent['code'], message: string): void {
  warnProcess(code, message)
  if (warnings.hasSubscribers) warnings.publish({ code, message })
}
