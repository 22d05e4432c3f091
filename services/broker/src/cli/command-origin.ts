import { userInfo } from 'node:os'
import type { Origin } from '../audit/audit-event.ts'

/** Whoever may run a command on the database holds its keys; the name is what the system calls them. */
export function commandOrigin(): Origin {
  const actorId = `cli:${userName()}`
  return { actorKind: 'operator', actorId, address: undefined, userAgent: undefined, requestId: undefined }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // a container may run under a number that has no name
    return String(process.getuid?.() ?? 'unknown')
  }
}
