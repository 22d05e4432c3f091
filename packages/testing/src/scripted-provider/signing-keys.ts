import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'

export type SigningKey = { readonly kid: string; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }

/** The keys a provider signs with and those it publishes, which need not be the same. */
export type SigningKeys = {
  readonly alg: string
  readonly current: () => SigningKey
  /** A key that is never published. */
  readonly stranger: () => Promise<SigningKey>
  /** Signs with a new key from now on. */
  readonly rotate: (options?: { readonly keepOld?: boolean; readonly publish?: boolean }) => Promise<void>
  readonly jwks: () => Promise<{ readonly keys: readonly JWK[] }>
}

export async function createSigningKeys(alg: string): Promise<SigningKeys> {
  let current = await createKey(alg)
  let published = [current]
  let strange: Promise<SigningKey> | undefined
  return {
    alg,
    current: () => current,
    stranger: () => (strange ??= createKey(alg)),
    rotate: async ({ keepOld = true, publish = true } = {}) => {
      current = await createKey(alg)
      published = [...(publish ? [current] : []), ...(keepOld ? published : [])]
    },
    jwks: async () => ({
      keys: await Promise.all(
        published.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' })),
      ),
    }),
  }
}

async function createKey(alg: string): Promise<SigningKey> {
  return {
    ...(await generateKeyPair(alg, { extractable: true })),
    kid: randomBytes(6).toString('hex'),
  }
}
