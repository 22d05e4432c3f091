import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import { interactionPolicy, type Configuration, type JWKS } from 'oidc-provider'
import type { Accounts } from './accounts.ts'
import { createAdapter } from './adapter.ts'
import { errorPage, pageHeaders } from './pages.ts'
import type { StateStore } from './state-store.ts'

/** How the demo provider behaves. */
export type DemoProviderSettings = {
  /** Default true: each refresh token works once, and using an old one revokes the whole grant. */
  readonly rotateRefreshTokens?: boolean
  /** Default true, whether or not `offline_access` was asked. */
  readonly issueRefreshTokens?: boolean
  /** Default 3600. */
  readonly accessTokenSeconds?: number
  /** Default 30 days. */
  readonly refreshTokenSeconds?: number
  /** Default false: clients may leave PKCE out. */
  readonly requirePkce?: boolean
  /** Scopes beyond openid, profile, email and offline_access. Default: read and write. */
  readonly scopes?: readonly string[]
}

type Keys = { readonly jwks: JWKS; readonly cookieKeys: string[] }

const day = 86_400

/** The signing and cookie keys of an earlier run, or fresh ones. */
export async function loadKeys(store: StateStore): Promise<Keys> {
  const kept = store.get('Keys')
  if (isKeys(kept)) return kept
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const kid = randomBytes(4).toString('hex')
  const keys: Keys = {
    jwks: { keys: [{ ...pickStrings(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid }] },
    cookieKeys: [randomBytes(32).toString('hex')],
  }
  store.set('Keys', keys)
  await store.saved()
  return keys
}

function isKeys(value: unknown): value is Keys {
  return typeof value === 'object' && value !== null && 'jwks' in value
}

function pickStrings(jwk: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(jwk).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

export function createConfiguration(
  settings: DemoProviderSettings,
  store: StateStore,
  accounts: Accounts,
  keys: Keys,
): Configuration {
  return {
    adapter: createAdapter(store),
    jwks: keys.jwks,
    cookies: { keys: keys.cookieKeys },
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
    scopes: ['openid', 'offline_access', 'email', 'profile', ...(settings.scopes ?? ['read', 'write'])],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    findAccount: (_context, sub) => ({
      accountId: sub,
      claims: () => ({
        sub,
        name: accounts.nameOf(sub),
        preferred_username: sub,
        email: `${sub}@demo.test`,
        email_verified: true,
      }),
    }),
    // claims stand in the ID token too, as most large providers do it
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: isOwnToken },
      introspection: { enabled: true, allowedPolicy: isOwnToken },
    },
    pkce: { required: () => settings.requirePkce ?? false },
    issueRefreshToken: (_context, client) =>
      (settings.issueRefreshTokens ?? true) && client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: settings.rotateRefreshTokens ?? true,
    // a token is over when it says so; the default gives 15 s more
    clockTolerance: 0,
    ttl: {
      AccessToken: settings.accessTokenSeconds ?? 3600,
      RefreshToken: settings.refreshTokenSeconds ?? 30 * day,
      Grant: settings.refreshTokenSeconds ?? 30 * day,
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 600,
      Session: day,
    },
    interactions: { url: (_context, { uid }) => `/login/${uid}`, policy: askEveryTime() },
    renderError: (context, { error, error_description: description }) => {
      context.set(pageHeaders)
      context.body = errorPage(error, description ?? 'The request is not one this provider understands.')
    },
  }
}

/** RFC 7009 §2.1: a token is its client's business only. */
function isOwnToken(
  _context: unknown,
  client: { clientId: string },
  token: { clientId?: string | undefined },
): boolean {
  return token.clientId === client.clientId
}

/** Consent is what a demo is about, so a living session skips nothing. */
function askEveryTime(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  const check = new interactionPolicy.Check('ask_every_time', 'the demo always asks', ({ oidc }) =>
    oidc.result?.login === undefined
      ? interactionPolicy.Check.REQUEST_PROMPT
      : interactionPolicy.Check.NO_NEED_TO_PROMPT,
  )
  policy.get('login')?.checks.add(check)
  return policy
}
