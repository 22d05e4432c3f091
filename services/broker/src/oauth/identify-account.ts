import { setTimeout as delay } from 'node:timers/promises'
import type { OAuthProvider } from '../providers/provider.ts'
import type { DiscoveryCache } from './discovery-cache.ts'
import { findIssuerToDiscover, type KnownEndpoints } from './find-metadata.ts'
import { checkUnsignedIdToken, UnknownKeyError, verifyIdToken, type IdTokenRules } from './id-token.ts'
import { findIssuerRule } from './issuer-rule.ts'
import type { KeySets } from './key-sets.ts'
import type { Account } from './provider-client.ts'
import { ProviderError } from './provider-errors.ts'

const keysWithinMs = 2_000

/** Whose tokens these are, by the ID token that came with them. */
export type Identity = {
  /** undefined where it could not be verified, and is not to be kept. */
  readonly idToken: string | undefined
  readonly account: Account
}

type ReceivedIdToken = {
  readonly provider: OAuthProvider
  readonly endpoints: KnownEndpoints
  readonly idToken: string | undefined
}

export type IdentifyDependencies = {
  readonly discovery: DiscoveryCache
  readonly keySets: KeySets
  /** Milliseconds by the clock that decides (the database's). */
  readonly decisiveNow: () => number
}

/**
 * After a code exchange (OIDC Core §3.1.3.7). undefined where nobody asked for an ID token and none came, or none that
 * could be verified: such a one is worth nothing and is ignored.
 *
 * @param nonce - the one sent with the request; undefined where the request asked for no ID token.
 * @throws ProviderError `id_token`, or as fetching the keys does.
 */
export async function identifyAfterExchange(
  dependencies: IdentifyDependencies,
  received: ReceivedIdToken,
  nonce: string | undefined,
): Promise<Identity | undefined> {
  const { idToken } = received
  const sent = nonce === undefined ? ({ kind: 'none-sent' } as const) : ({ kind: 'sent', value: nonce } as const)
  const rules = findIdTokenRules(dependencies, received, sent)
  if (nonce !== undefined && idToken === undefined) {
    throw new ProviderError('id_token', 'openid was asked for and no ID token came')
  }
  if (nonce !== undefined && rules === undefined) {
    throw new ProviderError('id_token', 'no issuer or keys are known for the ID token')
  }
  if (idToken === undefined || rules === undefined) return undefined
  return { idToken, account: await verify(dependencies, received.provider, idToken, rules) }
}

/**
 * After a refresh (OIDC Core §12.2). The tokens in hand may be the only ones that still work: neither an ID token that does
 * not verify nor keys that cannot be had now may throw them away, or the spent refresh token would be presented again (R1).
 * Such an ID token is dropped; where only the keys are missing, its claims still say whose account it is.
 *
 * @returns undefined where no ID token can say it
 */
export async function identifyAfterRefresh(
  dependencies: IdentifyDependencies,
  received: ReceivedIdToken,
): Promise<Identity | undefined> {
  const { idToken, provider } = received
  const rules = findIdTokenRules(dependencies, received, { kind: 'any' })
  if (idToken === undefined || rules === undefined) return undefined
  try {
    const account = await Promise.race([verify(dependencies, provider, idToken, rules), giveUpOnKeys()])
    return { idToken, account }
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    return error.kind === 'id_token' ? undefined : identifyWithoutKeys(idToken, rules)
  }
}

/** The lease on the token runs while its answer is in hand: keys that take longer are as good as missing. */
async function giveUpOnKeys(): Promise<never> {
  await delay(keysWithinMs, undefined, { ref: false })
  throw new ProviderError('unavailable', 'the keys were not there in time')
}

function identifyWithoutKeys(idToken: string, rules: IdTokenRules): Identity | undefined {
  try {
    return { idToken: undefined, account: checkUnsignedIdToken(idToken, rules) }
  } catch (error) {
    if (error instanceof ProviderError && error.kind === 'id_token') return undefined
    throw error
  }
}

/** undefined where nothing is known by which an ID token could be believed. */
function findIdTokenRules(
  { keySets, decisiveNow }: IdentifyDependencies,
  { provider, endpoints: { jwksUri } }: ReceivedIdToken,
  nonce: IdTokenRules['nonce'],
): IdTokenRules | undefined {
  const issuer = findIssuerRule(provider)
  if (issuer === undefined || jwksUri === undefined) return undefined
  const { idTokenSignedResponseAlg: algorithm, clientId } = provider
  return { issuer, keys: keySets.find(jwksUri), algorithm, clientId, nonce, nowMs: decisiveNow() }
}

async function verify(
  { discovery }: IdentifyDependencies,
  provider: OAuthProvider,
  idToken: string,
  rules: IdTokenRules,
): Promise<Account> {
  try {
    return await verifyIdToken(idToken, rules)
  } catch (error) {
    // The key set is fresh by now; if the issuer moved it, only new metadata can tell.
    const issuer = findIssuerToDiscover(provider)
    if (error instanceof UnknownKeyError && issuer !== undefined) discovery.forget(issuer)
    throw error
  }
}
