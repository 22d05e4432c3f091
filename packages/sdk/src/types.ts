import type { OAuth2Strategy, StaticStrategy } from './strategy.ts'

// The SDK speaks camelCase. What lies in `credentials`, `extra`, `metadata` and a strategy's `config` keeps the names that
// the provider's profile, the provider or the caller gave it. Times are RFC 3339 in UTC.

export type ConnectionStatus = 'pending' | 'active' | 'attention_required' | 'failed' | 'expired' | 'revoked'

/** Which provider: by name (or alias), or by id. */
export type ProviderChoice =
  | { readonly providerName: string; readonly providerId?: undefined }
  | { readonly providerId: string; readonly providerName?: undefined }

/** What the person meets on the way. */
type Pages = {
  /** Show who asks for what before the person goes to the provider. */
  readonly confirm?: boolean | undefined
  /** `app`: nothing is connected until your server has called `completeConnection`. Needs `returnUrl`. */
  readonly completion?: 'app' | undefined
}

export type ConnectionRequest = ProviderChoice &
  Pages & {
    /** Whose account it is, as your app knows the person. */
    readonly userId: string
    /** A subset of the profile's; none: all of them. */
    readonly scopes?: readonly string[] | undefined
    /** Where the person goes afterwards; none: a page that says all is done. */
    readonly returnUrl?: string | undefined
    /** Notes of yours on the connection, given back as they are. */
    readonly metadata?: Readonly<Record<string, unknown>> | undefined
    readonly zone?: string | undefined
  }

export type ReconnectRequest = Pages & {
  /** A subset of the profile's; none: those the connection has. */
  readonly scopes?: readonly string[] | undefined
  readonly returnUrl?: string | undefined
  /** Takes the place of the connection's, once it is reconnected. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  /** Whether the person may come back with another account. */
  readonly allowAccountChange?: boolean | undefined
}

export type ConnectionRequested = {
  /** Open it in the browser of the person whose account it is. */
  readonly authUrl: string
  readonly connectionId: string
  readonly state: string
  readonly scopes: readonly string[]
  readonly providerId: string
  /** Until when the link can be opened. */
  readonly expiresAt: string
}

export type CheckedConnection = {
  readonly status: ConnectionStatus
  readonly statusReason: string | null
}

export type CompletedConnection = {
  readonly connectionId: string
  readonly status: 'active'
  readonly provider: string
}

export type Disconnected = {
  /** The provider has confirmed that the grant is over. */
  readonly revokedAtProvider: boolean
  /** `queued`: it could not be asked yet, and will be; `unsupported`: what it granted may live on there. */
  readonly revocation: 'done' | 'queued' | 'unsupported'
}

export type Provider = {
  readonly id: string
  readonly name: string
  readonly authType: string
  readonly apiBaseUrl: string | null
  readonly userInfoEndpoint: string | null
  readonly scopes: readonly string[]
  readonly description: string | null
  readonly category: string | null
}

export type OAuthCredential = {
  readonly strategy: OAuth2Strategy
  /** The name of its profile, which may be another profile's by now; `providerId` stays. */
  readonly provider: string
  readonly providerId: string
  readonly credentials: {
    readonly access_token: string
    readonly token_type: string
    readonly scope?: string | undefined
    readonly expires_at: string | null
    /** Where the profile exposes it. */
    readonly id_token?: string | undefined
    /** What the profile keeps of the provider's answer. */
    readonly extra?: Readonly<Record<string, unknown>> | undefined
  }
  /** The same as in `credentials`; undefined tells a static credential. */
  readonly accessToken: string
  /** Seconds left when the answer was made. */
  readonly expiresIn: number | null
}

export type StaticCredential = {
  readonly strategy: StaticStrategy
  /** The name of its profile, which may be another profile's by now; `providerId` stays. */
  readonly provider: string
  readonly providerId: string
  /** By the names of the profile's schema. */
  readonly credentials: Readonly<Record<string, unknown>>
  readonly accessToken?: undefined
  readonly expiresIn?: undefined
}

/** A secret: keep it out of logs, prompts and answers. */
export type Credential = OAuthCredential | StaticCredential
