import type { Permission } from '@nexus/contracts'
import { AppError } from '@nexus/service'

/** Who asks, and what they may do where. */
export type Agent = {
  /** undefined: an operator's key, or whoever comes without a token where none is asked for. */
  readonly keyId: string | undefined
  /** The user or system it acts for. */
  readonly owner: string | undefined
  /** Everything in every zone, but `c`: that has to be named. */
  readonly isAdmin: boolean
  /** Zone → some of the letters `rwxc`, in the order in which they were named. */
  readonly zones: ReadonlyMap<string, string>
}

export const rootZone = 'root'

/** Whoever passes ALLOWED_CIDRS, with a Gateway's key, where REQUIRE_BEARER is off. */
export const anonymousAgent: Agent = {
  keyId: undefined,
  owner: undefined,
  isAdmin: false,
  zones: new Map([[rootZone, 'rw']]),
}

/** Who runs this installation, with ADMIN_API_KEY or from its shell. */
export const operatorAgent: Agent = { keyId: undefined, owner: undefined, isAdmin: true, zones: new Map() }

/** What lies outside these zones does not exist for it; undefined: it sees all there are. */
export function zonesSeenBy(agent: Agent): readonly string[] | undefined {
  return agent.isAdmin ? undefined : [...agent.zones.keys()]
}

export function sees(agent: Agent, zone: string): boolean {
  return agent.isAdmin || agent.zones.has(zone)
}

export function mayIn(agent: Agent, zone: string, permission: Permission): boolean {
  const isImplied = agent.isAdmin && permission !== 'c'
  return isImplied || (agent.zones.get(zone)?.includes(permission) ?? false)
}

/** The zones in which all of `permissions` are held; undefined: every zone. */
export function zonesWith(agent: Agent, permissions: readonly Permission[]): readonly string[] | undefined {
  if (agent.isAdmin && !permissions.includes('c')) return undefined
  return [...agent.zones.keys()].filter((zone) => permissions.every((one) => mayIn(agent, zone, one)))
}

/** Before anything is looked up, so that it tells nothing. @throws AppError `insufficient_permission` */
export function assertMaySomewhere(agent: Agent, permissions: readonly Permission[]): void {
  if (zonesWith(agent, permissions)?.length === 0) throw insufficientPermission(permissions)
}

export function insufficientPermission(permissions: readonly Permission[]): AppError {
  const needed = permissions.join('')
  return new AppError('insufficient_permission', `This needs a token with ${needed} in the zone.`, {
    details: { needed },
  })
}

/**
 * The zone in which something new is made: the one that is named, else a token's only one; an administrator who names none
 * works in root. One that the token does not know answers as if it did not exist (C4).
 * @throws AppError `zone_required` with the choices, `zone_not_found`, `insufficient_permission`
 */
export function chooseZone(agent: Agent, named: string | undefined): string {
  const zone = named ?? (agent.zones.size === 1 ? [...agent.zones.keys()][0] : undefined)
  if (zone === undefined) {
    if (agent.isAdmin && agent.zones.size === 0) return rootZone
    const choices = zonesWith({ ...agent, isAdmin: false }, ['w']) ?? []
    throw new AppError('zone_required', `Name a zone: ${choices.join(', ')}.`, { details: { zones: choices } })
  }
  if (!sees(agent, zone)) throw zoneNotFound()
  if (!mayIn(agent, zone, 'w')) throw insufficientPermission(['w'])
  return zone
}

/** The same for whatever is wrong with it. */
export function invalidToken(): AppError {
  return new AppError('invalid_token', 'The agent token is not valid.')
}

export function zoneNotFound(): AppError {
  return new AppError('zone_not_found', 'There is no such zone.')
}
