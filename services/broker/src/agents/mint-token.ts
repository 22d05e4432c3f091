import type { AgentToken, CreatedAgentToken } from '@nexus/contracts'
import type { RandomBytes } from '@nexus/crypto'
import { AppError, invalidField } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import { isUniqueViolation } from '../db/database-errors.ts'
import { createFirstZones, holdZones } from '../zones/hold-zones.ts'
import { rootZone } from './agent.ts'
import { type MintedToken, mintAgentToken } from './agent-token.ts'
import { type Authority, type Manager, assertAdmin, assertMayGrant, holdAuthority } from './authority.ts'
import { describeToken } from './describe-token.ts'
import * as store from './store.ts'

export type MintDeps = {
  readonly database: Database
  readonly createId: () => string
  readonly randomBytes: RandomBytes
}

export type WantedToken = {
  readonly name: string
  readonly zones: readonly store.Grant[]
  readonly is_admin: boolean
  readonly owner?: string | undefined
  /** Seconds. */
  readonly expires_in?: number | undefined
}

/** Four billion lookups: one that is taken is an accident, two in a row are none. */
const mostAttempts = 3

/**
 * Mints a token, which is answered this once and kept by nobody. It holds no more than its maker does, in zones, in
 * permissions and in time: who makes it is read again here, and stays what it is until the token is there.
 * @throws AppError `invalid_request`, `zone_not_found`, `insufficient_permission`, `invalid_token`, `token_name_taken`
 */
export async function mintToken(
  deps: MintDeps,
  manager: Manager,
  wanted: WantedToken,
  origin: Origin,
): Promise<CreatedAgentToken> {
  assertZonesOnce(wanted)
  const keyId = deps.createId()
  try {
    return await deps.database.transaction(async (transaction) => {
      const authority = await holdAuthority(transaction, manager)
      const expiresInSeconds = decideLifetime(authority, wanted)
      if (wanted.is_admin) assertAdmin(authority)
      for (const grant of wanted.zones) assertMayGrant(authority, grant)
      await prepareZones(transaction, authority, wanted)
      const minted = await insertMinted(deps, transaction, { keyId, wanted, expiresInSeconds, origin })
      await store.upsertGrants(transaction, keyId, wanted.zones)
      await recordEvent(transaction, deps.createId(), {
        event: 'agent_token.created',
        outcome: 'success',
        origin,
        zone: firstZoneOf(wanted),
        data: { key_id: keyId, name: wanted.name, is_admin: wanted.is_admin, zones: wanted.zones.map(toText) },
      })
      return { ...(await readBack(transaction, keyId)), token: minted.token }
    })
  } catch (error) {
    if (!isUniqueViolation(error, 'agent_tokens_name')) throw error
    const zone = firstZoneOf(wanted)
    throw new AppError('token_name_taken', `A living token of zone ${zone} is called ${wanted.name} already.`, {
      details: { name: wanted.name, zone },
    })
  }
}

function firstZoneOf({ zones }: WantedToken): string {
  return zones[0]?.zone ?? rootZone
}

function toText({ zone, permissions }: store.Grant): string {
  return `${zone}:${permissions}`
}

function assertZonesOnce({ zones, is_admin }: WantedToken): void {
  if (zones.length === 0 && !is_admin)
    throw invalidField('zones', 'must name a zone: without any the token could do nothing')
  if (new Set(zones.map(({ zone }) => zone)).size < zones.length)
    throw invalidField('zones', 'must name each zone once')
}

/** What comes from a token that ends does not outlive it. */
function decideLifetime({ secondsLeft }: Authority, { expires_in: wanted }: WantedToken): number | undefined {
  if (secondsLeft === undefined) return wanted
  if (wanted === undefined) return secondsLeft
  if (wanted <= secondsLeft) return wanted
  const left = Math.floor(secondsLeft)
  throw invalidField('expires_in', `must end before the token that makes it: within ${left} seconds`)
}

/** Zones are made by those who may; the first ones of an installation come with the first token that names them. */
async function prepareZones(transaction: Queryable, authority: Authority, { zones }: WantedToken): Promise<void> {
  const names = [...new Set([rootZone, ...zones.map(({ zone }) => zone)])]
  if (authority.isAdmin) await createFirstZones(transaction, names)
  await holdZones(transaction, names)
}

type Insertion = {
  readonly keyId: string
  readonly wanted: WantedToken
  readonly expiresInSeconds: number | undefined
  readonly origin: Origin
}

async function insertMinted(
  { randomBytes }: MintDeps,
  transaction: Queryable,
  { keyId, wanted, expiresInSeconds, origin }: Insertion,
): Promise<MintedToken> {
  const firstZone = firstZoneOf(wanted)
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const minted = mintAgentToken(firstZone, wanted.name, randomBytes)
    const isInserted = await store.insertToken(transaction, {
      keyId,
      ...minted,
      name: wanted.name,
      owner: wanted.owner ?? wanted.name,
      firstZone,
      isAdmin: wanted.is_admin,
      expiresInSeconds,
      createdBy: origin.actorId,
    })
    if (isInserted) return minted
  }
  throw new Error('no free lookup was found for an agent token: is there any randomness?')
}

async function readBack(transaction: Queryable, keyId: string): Promise<AgentToken> {
  const stored = await store.selectToken(transaction, keyId, undefined)
  if (stored === undefined) throw new Error('the token that was just made is not there')
  return describeToken(stored)
}
