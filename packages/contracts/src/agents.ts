import { z } from 'zod'
import { line, nextCursor, pageQuery, recordId, timestamp, zoneName } from './primitives.ts'

/**
 * An agent token: `sk-<zone>_<name>_<8 hex>_<43 base64url>`. The hex digits find its row, the last part is 256 random bits;
 * zone and name are for the eyes of people alone. Read from the right, since names may hold what separates them.
 */
export const agentTokenPattern = /^sk-[a-z0-9-]{0,8}_[a-z0-9-]{0,8}_([0-9a-f]{8})_([A-Za-z0-9_-]{43})$/

/** Longer texts are no tokens, and need not be looked at. */
export const longestAgentToken = 128

/** The letters of a set of permissions, in their order. `x` means everything in a zone, so `r` and `w` come with it. */
export const permissionLetters = ['r', 'w', 'x', 'c'] as const
export type Permission = (typeof permissionLetters)[number]

/** What a token may do in a zone: some of `r`, `w`, `x`, `c`; read in any order, given back as `rwxc`. */
export const permissions = z
  .string()
  // each letter looks at the next three and no further: a text of any length costs nothing
  .regex(/^(?:([rwxc])(?!.{0,2}\1)){1,4}$/, 'must be some of r, w, x and c')
  .transform((given) => (given.includes('x') ? `rw${given}` : given))
  .transform((held) => permissionLetters.filter((letter) => held.includes(letter)).join(''))
  .describe(
    'r: see and fetch; w: request, refresh, reconnect, disconnect; x: everything in the zone, tokens too; c: complete',
  )

const zoneGrant = z.object({ zone: zoneName, permissions })

const tokenName = line(64).describe('Unique among the living tokens of the same first zone')

export const agentToken = z
  .object({
    key_id: recordId,
    prefix: z.string().describe('The public part of the token, by which people find it again'),
    name: z.string(),
    owner: z.string().describe('The user or system it acts for'),
    zone: zoneName.describe('The first of its zones'),
    zones: z.array(z.object({ zone: zoneName, permissions: z.string() })),
    is_admin: z.boolean(),
    created_at: timestamp,
    expires_at: timestamp.nullable(),
    last_used_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
  })
  .meta({ id: 'AgentToken' })

const tenYears = 315_360_000

/** `POST /agent-tokens` on the Broker, `POST /v1/hub/tokens` on the Gateway. */
export const createAgentTokenBody = z.strictObject({
  name: tokenName,
  zones: z.array(zoneGrant.strict()).max(1000).default([]).describe('None: for administrators only'),
  is_admin: z.boolean().default(false),
  owner: line(256).optional().describe('The name, where none is given'),
  expires_in: z.number().int().min(60).max(tenYears).optional().describe('Seconds; none: it does not expire'),
})

export const createdAgentToken = agentToken
  .extend({ token: z.string().describe('Shown this once, never again') })
  .meta({ id: 'CreatedAgentToken' })

/** `match`: a name, a key id or the beginning of one (4 characters at least), or a token's prefix. */
export const listAgentTokensQuery = z.strictObject({
  show_revoked: z.enum(['true', 'false']).default('false'),
  match: line(128).optional(),
  ...pageQuery,
})

/** Newest first. */
export const agentTokenList = z.object({ tokens: z.array(agentToken), next_cursor: nextCursor })

export const keyIdParams = z.strictObject({ key_id: recordId })
export const tokenZoneParams = z.strictObject({ key_id: recordId, zone: zoneName })
export const tokenZoneBody = z.strictObject({ permissions })

export const zone = z
  .object({
    name: zoneName,
    created_at: timestamp,
    connections: z.number().int().describe('Those that are over not included'),
    tokens: z.number().int().describe('Living ones that name it'),
  })
  .meta({ id: 'Zone' })

export const listZonesQuery = z.strictObject({ ...pageQuery })

/** By name. */
export const zoneList = z.object({ zones: z.array(zone), next_cursor: nextCursor })
export const createZoneBody = z.strictObject({ name: zoneName })
export const zoneParams = z.strictObject({ zone: zoneName })
export const removeZoneQuery = z.strictObject({ force: z.enum(['true', 'false']).default('false') })

export const zoneRemoved = z
  .object({
    name: zoneName,
    connections: z.number().int().describe('Those that are being disconnected now'),
    tokens_revoked: z.number().int().describe('Tokens that named no other zone'),
  })
  .meta({ id: 'ZoneRemoved' })

export const hubStatus = z
  .object({
    postgres: z.enum(['ok', 'err']),
    redis: z.enum(['ok', 'n/a']),
    tokens: z.object({ active: z.number().int(), revoked: z.number().int() }).nullable(),
    connections: z.record(z.string(), z.number().int()).nullable().describe('By status'),
    zones: z.number().int().nullable(),
    qps: z.number().nullable().describe('Reads of credentials a second, over the last five minutes'),
  })
  .meta({ id: 'HubStatus' })

export type AgentToken = z.infer<typeof agentToken>
export type CreateAgentToken = z.infer<typeof createAgentTokenBody>
export type CreatedAgentToken = z.infer<typeof createdAgentToken>
export type AgentTokenList = z.infer<typeof agentTokenList>
export type ListAgentTokens = z.infer<typeof listAgentTokensQuery>
export type Zone = z.infer<typeof zone>
export type ZoneList = z.infer<typeof zoneList>
export type ZoneRemoved = z.infer<typeof zoneRemoved>
export type HubStatus = z.infer<typeof hubStatus>

/**
 * What `nexus hub` works with: the Broker's own use cases in one process, or a Gateway's `/v1/hub`. Every method throws what
 * the routes answer: an error with a `code` and a `message`.
 */
export type Hub = {
  readonly createToken: (wanted: z.input<typeof createAgentTokenBody>) => Promise<CreatedAgentToken>
  readonly listTokens: (query: z.input<typeof listAgentTokensQuery>) => Promise<AgentTokenList>
  readonly getToken: (keyId: string) => Promise<AgentToken>
  readonly revokeToken: (keyId: string) => Promise<AgentToken>
  readonly setTokenZone: (keyId: string, zone: string, permissions: string) => Promise<AgentToken>
  readonly removeTokenZone: (keyId: string, zone: string) => Promise<AgentToken>
  readonly listZones: (query: z.input<typeof listZonesQuery>) => Promise<ZoneList>
  readonly createZone: (name: string) => Promise<Zone>
  readonly removeZone: (name: string, options: { readonly force: boolean }) => Promise<ZoneRemoved>
  readonly status: () => Promise<HubStatus>
}
