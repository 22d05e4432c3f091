/** The events of security.md A3. The list is open: a new feature adds its own. */
export type AuditEventName =
  | 'provider.created'
  | 'provider.updated'
  | 'provider.deleted'
  | 'provider.secret_compared'
  | 'connection.requested'
  | 'oauth_flow_completed'
  | 'oauth_error'
  | 'state_verification_failed'
  | 'token_exchange_failed'
  | 'id_token_verification_failed'
  | 'credential_captured'
  | 'credential_refused'
  | 'connection.held'
  | 'connection.completed'
  | 'completion_refused'
  | 'token_retrieved'
  | 'token_retrieval_failed'
  | 'token_refreshed'
  | 'token_refresh_failed'
  | 'token_refresh_fatal'
  | 'connection.disconnected'
  | 'connection.reconnect_requested'
  | 'connection.reconnected'
  | 'revocation.queued'
  | 'revocation.done'
  | 'revocation.refused'
  | 'revocation.unsupported'
  | 'revocation.abandoned'
  | 'notice.abandoned'
  | 'keys.added'
  | 'keys.rotated'
  | 'keys.retired'
  | 'access.denied'
  | 'agent_token.created'
  | 'agent_token.revoked'
  | 'agent_token.zone_added'
  | 'agent_token.zone_removed'
  | 'zone.created'
  | 'zone.removed'
  | 'vault.integrity_failed'

export type ActorKind = 'agent' | 'operator' | 'gateway' | 'browser' | 'system'

/** Who asked, as far as the Broker verified it, and from where. */
export type Origin = {
  readonly actorKind: ActorKind
  readonly actorId: string | undefined
  readonly address: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string | undefined
}

/** Nobody asked: the Broker does it of its own accord. */
export const systemOrigin: Origin = {
  actorKind: 'system',
  actorId: undefined,
  address: undefined,
  userAgent: undefined,
  requestId: undefined,
}

export type AuditEvent = {
  readonly event: AuditEventName
  /** `success`, the error code of the failure, or what was found. */
  readonly outcome: string
  readonly origin: Origin
  readonly zone?: string | undefined
  readonly connectionId?: string | undefined
  readonly providerId?: string | undefined
  readonly tokenVersion?: number | undefined
  /** Facts for the reader: codes and names, never a secret and never a provider's text (P5). */
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

const maxTextLength = 512

/**
 * Makes foreign text storable whatever it holds: valid Unicode, no NUL (PostgreSQL refuses it), cut at 512 code units.
 * No input may suppress its own record (A2).
 */
export function cleanText(text: string | undefined): string | null {
  return text === undefined ? null : text.slice(0, maxTextLength).toWellFormed().replaceAll('\0', '')
}
