import { randomBytes } from 'node:crypto'

/** What a person allowed: the family of all tokens that come of one code. */
export type Grant = {
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  readonly nonce: string | undefined
  revoked: boolean
  /** Refresh requests of this family that are being answered now. */
  refreshing: number
}

export type Code = {
  readonly grant: Grant
  readonly redirectUri: string
  readonly codeChallenge: string | undefined
  readonly expiresAt: number
  used: boolean
}

type RefreshToken = { readonly grant: Grant; supersededAt: number | undefined }

/** Counts that prove, or disprove, good manners. */
export type GrantCounts = {
  /** How often each code was presented, whatever came of it. */
  readonly codesExchanged: ReadonlyMap<string, number>
  /** Presentations of refresh tokens, whatever came of them. */
  readonly refreshRequests: number
  /** Presentations of refresh tokens that a newer one had replaced, inside the grace period too. */
  readonly supersededPresentations: number
  /** Those after the grace period. */
  readonly reuseDetections: number
  /** The most refresh requests of one grant that were under way at once. */
  readonly mostConcurrentRefreshes: number
}

/** Codes, access tokens and refresh tokens of a scripted provider. */
export type Grants = {
  readonly counts: () => GrantCounts
  /** Every code and token ever issued: for scans that look for secrets. */
  readonly secrets: () => readonly string[]
  readonly issueCode: (code: Omit<Code, 'used'>) => string
  readonly findCode: (code: string) => Code | undefined
  readonly issueAccessToken: (grant: Grant, expiresAt: number) => string
  readonly findAccessToken: (token: string) => { readonly grant: Grant; readonly expiresAt: number } | undefined
  readonly issueRefreshToken: (grant: Grant) => string
  readonly findRefreshToken: (token: string) => RefreshToken | undefined
  readonly noteReuse: () => void
  readonly noteSecret: (secret: string) => void
  /** Ends an access token, or a refresh token with its whole family (RFC 7009 §2.1). */
  readonly revoke: (token: string) => void
  /** To be called when a token request arrives, whatever will be answered; the result when its connection is done. */
  readonly observe: (form: URLSearchParams) => () => void
}

type State = {
  readonly codes: Map<string, Code>
  readonly accessTokens: Map<string, { readonly grant: Grant; readonly expiresAt: number }>
  readonly refreshTokens: Map<string, RefreshToken>
  readonly secrets: string[]
  readonly exchanged: Map<string, number>
  refreshRequests: number
  superseded: number
  reuse: number
  mostConcurrent: number
}

export function createGrants(): Grants {
  const state: State = {
    codes: new Map(),
    accessTokens: new Map(),
    refreshTokens: new Map(),
    secrets: [],
    exchanged: new Map(),
    refreshRequests: 0,
    superseded: 0,
    reuse: 0,
    mostConcurrent: 0,
  }
  const issue = <T>(kind: string, into: Map<string, T>, what: T): string => {
    const secret = `${kind}-${randomBytes(24).toString('base64url')}`
    into.set(secret, what)
    state.secrets.push(secret)
    return secret
  }
  return {
    counts: () => countsOf(state),
    secrets: () => [...state.secrets],
    issueCode: (code) => issue('code', state.codes, { ...code, used: false }),
    findCode: (code) => state.codes.get(code),
    issueAccessToken: (grant, expiresAt) => issue('access', state.accessTokens, { grant, expiresAt }),
    findAccessToken: (token) => state.accessTokens.get(token),
    issueRefreshToken: (grant) => issue('refresh', state.refreshTokens, { grant, supersededAt: undefined }),
    findRefreshToken: (token) => state.refreshTokens.get(token),
    noteReuse: () => {
      state.reuse += 1
    },
    noteSecret: (secret) => void state.secrets.push(secret),
    revoke: (token) => {
      const refreshToken = state.refreshTokens.get(token)
      if (refreshToken !== undefined) refreshToken.grant.revoked = true
      state.accessTokens.delete(token)
    },
    observe: (form) => observe(state, form),
  }
}

function countsOf(state: State): GrantCounts {
  return {
    codesExchanged: new Map(state.exchanged),
    refreshRequests: state.refreshRequests,
    supersededPresentations: state.superseded,
    reuseDetections: state.reuse,
    mostConcurrentRefreshes: state.mostConcurrent,
  }
}

function observe(state: State, form: URLSearchParams): () => void {
  if (form.get('grant_type') === 'authorization_code') {
    const code = form.get('code') ?? ''
    state.exchanged.set(code, (state.exchanged.get(code) ?? 0) + 1)
  }
  if (form.get('grant_type') !== 'refresh_token') return () => undefined
  state.refreshRequests += 1
  const token = state.refreshTokens.get(form.get('refresh_token') ?? '')
  if (token === undefined) return () => undefined
  if (token.supersededAt !== undefined) state.superseded += 1
  token.grant.refreshing += 1
  state.mostConcurrent = Math.max(state.mostConcurrent, token.grant.refreshing)
  return () => {
    token.grant.refreshing -= 1
  }
}
