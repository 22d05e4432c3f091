import type { Queryable } from '../db/database.ts'
import { claimLease, releaseLease } from './store.ts'

export type Lease = {
  /** Another minute from now. False: the lease went to another Broker, and the work should stop. */
  readonly renew: () => Promise<boolean>
}

export type LeaseHolder = {
  readonly database: Queryable
  /** Of this process. */
  readonly owner: string
}

/**
 * Does `work` unless another Broker is at it. One that dies loses the lease after a minute. The lease keeps Brokers out of
 * each other's way and no more: one that was stopped for longer wakes beside its successor, so `work` must be harmless
 * beside itself.
 * @returns whether it was done here
 */
export async function underLease(
  { database, owner }: LeaseHolder,
  job: string,
  work: (lease: Lease) => Promise<void>,
): Promise<boolean> {
  const claim = (): Promise<boolean> => claimLease(database, job, owner)
  if (!(await claim())) return false
  try {
    await work({ renew: claim })
  } finally {
    // a lease that is not given back lapses
    await releaseLease(database, job, owner).catch(() => undefined)
  }
  return true
}
