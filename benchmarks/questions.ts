/** All questions, in the order in which a run asks them. */
import type { Question } from './harness/bench.ts'
import { accuracy } from './questions/accuracy.ts'
import { cluster } from './questions/cluster.ts'
import { eventLoop } from './questions/event-loop.ts'
import { growth } from './questions/growth.ts'
import { hotKey } from './questions/hot-key.ts'
import { http } from './questions/http.ts'
import { leases } from './questions/leases.ts'
import { localStores } from './questions/local-stores.ts'
import { loneCaller } from './questions/lone-caller.ts'
import { movingWindow } from './questions/moving-window.ts'
import { overHttp } from './questions/over-http.ts'
import { permits } from './questions/permits.ts'
import { processMemory } from './questions/process-memory.ts'
import { processes } from './questions/processes.ts'
import { redisMemory } from './questions/redis-memory.ts'
import { refusedKeys } from './questions/refused-keys.ts'
import { resend } from './questions/resend.ts'
import { uniqueKeys } from './questions/unique-keys.ts'
import { waiters } from './questions/waiters.ts'

export const QUESTIONS: readonly Question[] = [
  uniqueKeys,
  hotKey,
  refusedKeys,
  loneCaller,
  resend,
  localStores,
  growth,
  movingWindow,
  processes,
  waiters,
  leases,
  permits,
  cluster,
  overHttp,
  eventLoop,
  http,
  redisMemory,
  processMemory,
  accuracy,
]
