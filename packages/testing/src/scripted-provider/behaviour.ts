import type { IdTokenForgery } from './id-token.ts'

/** How the authorization endpoint sends the browser back. */
export type AuthorizationBehaviour = {
  /** Who signs in. */
  readonly subject: string
  /** `iss` of the response (RFC 9207); `undefined`: the true one, `null`: none. */
  readonly iss: string | null | undefined
  /** Answer with this error instead of a code. */
  readonly error: string | undefined
  readonly errorDescription: string | undefined
  /** Another state than the one sent; `null`: none. */
  readonly state: string | null | undefined
  /** Another code than the one issued; `null`: none. */
  readonly code: string | null | undefined
  /** `undefined`: as the request asks. */
  readonly responseMode: 'query' | 'form_post' | undefined
  /** Further parameters of the response, like QuickBooks' `realmId`. */
  readonly extra: Readonly<Record<string, string>>
}

/** What the token endpoint issues. */
export type TokenBehaviour = {
  /** `null`: `expires_in` is left out. */
  readonly lifetimeSeconds: number | null
  readonly tokenType: string
  /** The scope granted; `undefined`: as asked. */
  readonly scope: string | undefined
  /**
   * `rotate`: a new refresh token each time, the old one superseded; `constant`: always the same; `omit-on-refresh`: the
   * same, and not repeated; `none`: no refresh tokens.
   */
  readonly refreshTokens: 'rotate' | 'constant' | 'omit-on-refresh' | 'none'
  /** How long a superseded refresh token still works. */
  readonly graceSeconds: number
  /** What becomes of the family when a superseded token is presented after that. */
  readonly onReuse: 'revoke-family' | 'refuse'
  /** `by-accept`: a form, unless the request accepts application/json. */
  readonly format: 'json' | 'form' | 'by-accept'
  readonly idToken: 'with-openid' | 'always' | 'never'
  readonly idTokenOnRefresh: boolean
  /** Milliseconds from a token request to its answer. */
  readonly delayMs: number
  /** Further fields of the answer, like Salesforce's `instance_url`. */
  readonly extra: Readonly<Record<string, unknown>>
}

export type Behaviour = {
  readonly authorization: AuthorizationBehaviour
  readonly token: TokenBehaviour
  /** Lies in every ID token. */
  readonly idToken: IdTokenForgery
  /** Fields of the discovery document that differ from the true ones; `undefined` removes one. */
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Changes to some of it; what is not named stays. `idToken` and `metadata` are replaced as a whole. */
export type BehaviourChange = {
  readonly authorization?: Partial<AuthorizationBehaviour>
  readonly token?: Partial<TokenBehaviour>
  readonly idToken?: IdTokenForgery
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** An honest provider with rotating refresh tokens. */
export const honestBehaviour: Behaviour = {
  authorization: {
    subject: 'ada',
    iss: undefined,
    error: undefined,
    errorDescription: undefined,
    state: undefined,
    code: undefined,
    responseMode: undefined,
    extra: {},
  },
  token: {
    lifetimeSeconds: 3600,
    tokenType: 'Bearer',
    scope: undefined,
    refreshTokens: 'rotate',
    graceSeconds: 0,
    onReuse: 'revoke-family',
    format: 'json',
    idToken: 'with-openid',
    idTokenOnRefresh: true,
    delayMs: 0,
    extra: {},
  },
  idToken: {},
  metadata: {},
}

export function changeBehaviour(behaviour: Behaviour, change: BehaviourChange): Behaviour {
  return {
    authorization: { ...behaviour.authorization, ...change.authorization },
    token: { ...behaviour.token, ...change.token },
    idToken: change.idToken ?? behaviour.idToken,
    metadata: change.metadata ?? behaviour.metadata,
  }
}
