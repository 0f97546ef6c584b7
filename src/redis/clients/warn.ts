/** Warnings of what is set up in a way that harms limits: to the process, and to who listens. */
import { type WarningEvent, warnings } from '../../events.ts'
import { warnProcess } from '../../process-warning.ts'

export function warn(code: WarningEvent['code'], message: string): void {
  warnProcess(code, message)
  if (warnings.hasSubscribers) warnings.publish({ code, message })
}
