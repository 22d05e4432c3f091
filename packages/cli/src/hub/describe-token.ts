import type { AgentToken } from '@nexus/contracts'

const missing = '-'

/** A token as scripts read it: the names of a hub's own listing, `-` for what is not there. */
export function toListedToken(token: AgentToken) {
  return {
    key_id: token.key_id,
    name: token.name,
    zone: token.zone,
    zones: token.zones.map(({ zone }) => zone),
    admin: token.is_admin,
    created: token.created_at,
    last_used: token.last_used_at ?? missing,
    revoked: token.revoked_at !== null,
    revoked_at: token.revoked_at ?? missing,
  }
}

/** `eng:rw,ops:r`, as `--zones` takes it. */
export function describeZones({ zones }: Pick<AgentToken, 'zones'>): string {
  return zones.map(({ zone, permissions }) => `${zone}:${permissions}`).join(',') || missing
}

export const tokenColumns = ['key_id', 'name', 'zone', 'zones', 'admin', 'created', 'last_used', 'revoked_at'] as const

export function toTokenRow(token: AgentToken): readonly string[] {
  const { key_id, name, zone, admin, created, last_used, revoked_at } = toListedToken(token)
  return [key_id, name, zone, describeZones(token), admin ? 'yes' : 'no', created, last_used, revoked_at]
}
