import { AppError } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { type Agent, insufficientPermission } from './agent.ts'
import * as store from './store.ts'

/** Who manages tokens and zones: this installation's operator, an administrator, or who holds `x` somewhere. */
export type Manager = { readonly kind: 'operator' } | { readonly kind: 'agent'; readonly keyId: string }

/** What a manager may give away: never more than it has. */
export type Authority = {
  /** Everything, but `c` where it does not hold it itself. */
  readonly isAdmin: boolean
  readonly isOperator: boolean
  readonly zones: ReadonlyMap<string, string>
  /** undefined: without end. */
  readonly secondsLeft: number | undefined
}

/** @throws AppError `insufficient_permission` for whoever came without a token, which is nobody in particular */
export function managerOf(agent: Agent, isOperator: boolean): Manager {
  if (isOperator) return { kind: 'operator' }
  if (agent.keyId === undefined) throw insufficientPermission(['x'])
  return { kind: 'agent', keyId: agent.keyId }
}

const operatorAuthority: Authority = { isAdmin: true, isOperator: true, zones: new Map(), secondsLeft: undefined }

/**
 * Reads what a manager may do now, not what some Broker remembers of it, and holds it until the transaction ends.
 * @throws AppError `invalid_token` where it was revoked or has expired; `insufficient_permission` without any `x`
 */
export async function holdAuthority(transaction: Queryable, manager: Manager): Promise<Authority> {
  if (manager.kind === 'operator') return operatorAuthority
  const held = await store.selectAuthorityForShare(transaction, manager.keyId)
  if (held === undefined) throw new AppError('invalid_token', 'The agent token is not valid.')
  const zones = new Map(held.zones.map(({ zone, permissions }) => [zone, permissions]))
  const authority = { isAdmin: held.isAdmin, isOperator: false, zones, secondsLeft: held.secondsLeft ?? undefined }
  if (!authority.isAdmin && managedZones(authority)?.length === 0) throw insufficientPermission(['x'])
  return authority
}

/** The zones whose tokens it manages; undefined: all of them. */
export function managedZones({ isAdmin, zones }: Authority): readonly string[] | undefined {
  if (isAdmin) return undefined
  return [...zones].filter(([, permissions]) => permissions.includes('x')).map(([zone]) => zone)
}

/**
 * A zone that it does not manage answers as if it did not exist (C4), and nobody gives away what they do not hold: `c` says
 * whose accounts these are, which no administration implies.
 * @throws AppError `zone_not_found`, `insufficient_permission`
 */
export function assertMayGrant(authority: Authority, { zone, permissions }: store.Grant): void {
  if (authority.isOperator) return
  const held = authority.zones.get(zone) ?? ''
  if (!authority.isAdmin && !held.includes('x')) {
    throw held === '' ? zoneUnknown(zone) : insufficientPermission(['x'])
  }
  const granted = authority.isAdmin ? `rwx${held}` : held
  const missing = (['r', 'w', 'x', 'c'] as const).filter((one) => permissions.includes(one) && !granted.includes(one))
  if (missing.length > 0) throw insufficientPermission(missing)
}

export function zoneUnknown(zone: string): AppError {
  return new AppError('zone_not_found', `There is no zone ${zone}.`, { details: { zone } })
}

/** @throws AppError `insufficient_permission` */
export function assertAdmin(authority: Authority): void {
  if (authority.isAdmin) return
  throw new AppError('insufficient_permission', 'This needs an admin token.', { details: { needed: 'admin' } })
}
