import { type Timing, untilAborted } from './timing.ts'
import type { Credential } from './types.ts'

/** A credential that is being used. */
export type Held = {
  readonly credential: Credential
  /** Monotonic milliseconds. */
  readonly freshUntil: number
  /** Set when the one before it was refused by the API. */
  readonly renewedAt: number | undefined
}

export type CredentialSource = {
  readonly read: () => Promise<Credential>
  /** Makes the provider issue another one; only for OAuth. */
  readonly refresh: () => Promise<Credential>
}

export type CredentialCache = {
  /** @throws what the source throws; the reason of `signal` */
  readonly get: (signal?: AbortSignal) => Promise<Held>
  /**
   * A credential other than the one the API refused. Undefined: there is none, or that one was got for the same reason
   * just now, so that it is not the credential the API dislikes.
   *
   * @throws what the source throws; the reason of `signal`
   */
  readonly renew: (refused: Held, signal?: AbortSignal) => Promise<Held | undefined>
}

/** Milliseconds before its expiry at which a token is no longer used: it must live until the API has looked at it. */
const leadTime = 60_000
const renewalsApart = 30_000

/**
 * Holds the credential of one connection: until a minute before it expires, or for `staticMs` when it does not say when.
 * Many who need it at once cause one call.
 */
export function createCredentialCache(source: CredentialSource, timing: Timing, staticMs: number): CredentialCache {
  let held: Held | undefined
  let reading: Promise<Held> | undefined
  let renewing: Promise<Held> | undefined

  const hold = (credential: Credential, askedAt: number, renewedAt?: number): Held => {
    const { expiresIn } = credential
    const lasts = typeof expiresIn === 'number' ? expiresIn * 1000 - leadTime : staticMs
    // counted from the question: how long the answer took is not known to the provider
    return { credential, freshUntil: askedAt + lasts, renewedAt }
  }

  const load = async (): Promise<Held> => {
    const askedAt = timing.now()
    const before = held
    const loaded = hold(await source.read(), askedAt)
    // whoever renewed meanwhile has the newer one
    if (held === before) held = loaded
    return held ?? loaded
  }

  const replace = async (refused: Held): Promise<Held> => {
    const askedAt = timing.now()
    // whoever needs one now waits for the new one; and if there is none, is told why
    held = undefined
    const isOAuth = refused.credential.strategy.type === 'oauth2'
    held = hold(await (isOAuth ? source.refresh() : source.read()), askedAt, timing.now())
    return held
  }

  return {
    async get(signal) {
      signal?.throwIfAborted()
      if (held !== undefined && timing.now() < held.freshUntil) return held
      reading ??= (renewing ?? load()).finally(() => void (reading = undefined))
      return untilAborted(reading, signal)
    },
    async renew(refused, signal) {
      signal?.throwIfAborted()
      // somebody else has renewed it already
      if (held !== undefined && held !== refused) return differs(held, refused) ? held : undefined
      if (refused.renewedAt !== undefined && timing.now() - refused.renewedAt < renewalsApart) return undefined
      renewing ??= replace(refused).finally(() => void (renewing = undefined))
      const renewed = await untilAborted(renewing, signal)
      return differs(renewed, refused) ? renewed : undefined
    },
  }
}

function differs({ credential: a }: Held, { credential: b }: Held): boolean {
  return JSON.stringify([a.strategy, a.credentials]) !== JSON.stringify([b.strategy, b.credentials])
}
