import type { ConnectionStatus } from '@nexus/contracts'

/** The account a person chose at the provider, from a verified ID token. */
export type ConnectedAccount = { readonly issuer: string; readonly subject: string; readonly label: string | undefined }

/**
 * A link between a workspace (a user of some app) and an account at a provider.
 *
 * `pending` → `active` by consent, `failed` by refusal, `expired` by silence;
 * `active` ⇄ `attention_required` when the provider ends the grant and the person reconnects; `revoked` is final.
 */
export type Connection = {
  readonly id: string
  readonly zone: string
  readonly workspaceId: string
  readonly providerId: string
  readonly providerName: string
  readonly status: ConnectionStatus
  readonly statusReason: string | undefined
  readonly scopes: readonly string[]
  readonly grantedScopes: readonly string[] | undefined
  readonly account: ConnectedAccount | undefined
  readonly metadata: Readonly<Record<string, unknown>>
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly lastUsedAt: Date | undefined
  readonly tokenExpiresAt: Date | undefined
  readonly lastRefreshAt: Date | undefined
}
