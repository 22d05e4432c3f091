import type { AgentToken } from '@nexus/contracts'
import type { StoredToken } from './store.ts'

/** What is answered of a token. Its first zone is the one in which its name is taken. */
export function describeToken(token: StoredToken): AgentToken {
  return {
    key_id: token.keyId,
    prefix: token.prefix,
    name: token.name,
    owner: token.owner,
    zone: token.firstZone,
    zones: [...token.zones],
    is_admin: token.isAdmin,
    created_at: token.createdAt.toISOString(),
    expires_at: token.expiresAt?.toISOString() ?? null,
    last_used_at: token.lastUsedAt?.toISOString() ?? null,
    revoked_at: token.revokedAt?.toISOString() ?? null,
  }
}
