import { permissionLetters } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { zoneUnknown } from '../zones/hold-zones.ts'
import { type Agent, insufficientPermission, invalidToken } from './agent.ts'
import { holdChanges, raiseChanges } from './identity-store.ts'
import * as store from './store.ts'

/** Who manages tokens and zones: this installation's operator, an administrator, or who holds `x` somewhere. */
export type Manager = { readonly kind: 'operator' } | { readonly kind: 'agent'; readonly keyId: string }

/** What a manager may give away: never more than it has. */
export type Authority = {
  /** Everything, but `c` where it does not hold it itself. */
  readonly isAdmin: boolean
  readonly isOperator: boolean
  readonly zones: ReadonlyMap<string, string>
  /** null: without end. */
  readonly expiresAt: Date | null
  /** undefined: without end. */
  readonly secondsLeft: number | undefined
}

/** @throws AppError `insufficient_permission` for whoever came without a token, which is nobody in particular */
export function managerOf(agent: Agent, isOperator: boolean): Manager {
  if (isOperator) return { kind: 'operator' }
  if (agent.keyId === undefined) throw insufficientPermission(['x'])
  return { kind: 'agent', keyId: agent.keyId }
}

const operatorAuthority: Authority = {
  isAdmin: true,
  isOperator: true,
  zones: new Map(),
  expiresAt: null,
  secondsLeft: undefined,
}

/**
 * What a manager may do, which stays so until the transaction ends: what it makes is not made after its end. It comes before
 * any lock on a zone, so that whoever mints in one and whoever removes it wait for each other in one order.
 * @throws AppError as `readAuthority`
 */
export async function holdAuthority(transaction: Queryable, manager: Manager): Promise<Authority> {
  await holdChanges(transaction)
  return readAuthority(transaction, manager)
}

export type BegunChange = {
  readonly authority: Authority
  /** By which everybody who remembers what is changed learns that it was. */
  readonly seq: number
}

/**
 * The first step of whatever changes what living tokens may do: the change gets its number, whose lock puts all changes in
 * one order and holds the manager's authority as `holdAuthority` does.
 * @throws AppError as `readAuthority`
 */
export async function beginChange(transaction: Queryable, manager: Manager): Promise<BegunChange> {
  const seq = await raiseChanges(transaction)
  return { seq, authority: await readAuthority(transaction, manager) }
}

/**
 * Reads what a manager may do now, not what some Broker remembers of it.
 * @throws AppError `invalid_token` where it was revoked or has expired; `insufficient_permission` without any `x`
 */
export async function readAuthority(database: Queryable, manager: Manager): Promise<Authority> {
  if (manager.kind === 'operator') return operatorAuthority
  const held = await store.selectAuthority(database, manager.keyId)
  if (held === undefined) throw invalidToken()
  const zones = new Map(held.zones.map(({ zone, permissions }) => [zone, permissions]))
  const { isAdmin, expiresAt, secondsLeft } = held
  const authority = { isAdmin, isOperator: false, zones, expiresAt, secondsLeft: secondsLeft ?? undefined }
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
  const missing = permissionLetters.filter((one) => permissions.includes(one) && !granted.includes(one))
  if (missing.length > 0) throw insufficientPermission(missing)
}

/**
 * What comes from a token that ends does not outlive it: a token that lasts longer is given nothing that it does not have.
 * @throws AppError `insufficient_permission`
 */
export function assertMayGrantTo(
  { expiresAt: ownEnd }: Authority,
  { zones, expiresAt }: Pick<store.StoredToken, 'zones' | 'expiresAt'>,
  { zone, permissions }: store.Grant,
): void {
  if (ownEnd === null || (expiresAt !== null && expiresAt <= ownEnd)) return
  const held = zones.find((grant) => grant.zone === zone)?.permissions ?? ''
  const added = permissionLetters.filter((one) => permissions.includes(one) && !held.includes(one)).join('')
  if (added === '') return
  throw new AppError('insufficient_permission', `The token lasts longer than yours, which cannot give it ${added}.`, {
    details: { needed: added },
  })
}

/** @throws AppError `insufficient_permission` */
export function assertAdmin(authority: Authority): void {
  if (authority.isAdmin) return
  throw new AppError('insufficient_permission', 'This needs an admin token.', { details: { needed: 'admin' } })
}
