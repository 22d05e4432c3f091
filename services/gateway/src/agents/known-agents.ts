import type { AgentIdentity } from './agent-identity.ts'

export type KnownAgents = {
  /** What the Broker last said of this token, within a minute; the zone is each request's own and not remembered. */
  readonly find: (tokenHash: string) => AgentIdentity | undefined
  /** @param askedAt - when the request went out: what was refused since stays forgotten */
  readonly remember: (tokenHash: string, identity: AgentIdentity, askedAt: number) => void
  readonly forget: (tokenHash: string) => void
  /** How many agents the Broker took within the last minute. */
  readonly count: () => number
}

export type KnownAgentsOptions = {
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** Who was not heard of for longest makes room. */
  readonly most?: number
}

const freshForMs = 60_000

/** `identity` undefined: refused at that time. */
type Entry = { readonly identity: AgentIdentity | undefined; readonly at: number }

/**
 * Remembers whose tokens the Broker took, so that their requests can be counted by agent before they are passed on. It opens
 * nothing: the Broker judges every single request. By the token's hash, since no secret is kept where it need not be.
 */
export function createKnownAgents({ now, most = 20_000 }: KnownAgentsOptions): KnownAgents {
  // in the order in which they were last heard of
  const entries = new Map<string, Entry>()

  function put(tokenHash: string, entry: Entry): void {
    if (!entries.delete(tokenHash) && entries.size >= most) entries.delete(entries.keys().next().value ?? '')
    entries.set(tokenHash, entry)
  }

  return {
    find(tokenHash) {
      const entry = entries.get(tokenHash)
      return entry !== undefined && now() - entry.at < freshForMs ? entry.identity : undefined
    },
    remember(tokenHash, identity, askedAt) {
      const known = entries.get(tokenHash)
      // an answer that was on its way while the token was revoked
      if (known !== undefined && known.identity === undefined && known.at >= askedAt) return
      put(tokenHash, { identity: { ...identity, zone: undefined }, at: now() })
    },
    forget(tokenHash) {
      // tokens that nobody knew leave no trace: whoever invents them pushes nobody out
      if (entries.has(tokenHash)) put(tokenHash, { identity: undefined, at: now() })
    },
    count() {
      const since = now() - freshForMs
      return entries
        .values()
        .reduce((sum, { identity, at }) => (identity !== undefined && at > since ? sum + 1 : sum), 0)
    },
  }
}
