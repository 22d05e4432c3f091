import type { WireAnswer } from '../broker/answer-collector.ts'

/** What the Broker says of a token that it took. It decides nothing here: it says under whom a request is counted. */
export type AgentIdentity = {
  readonly keyId: string
  readonly tier: 'authenticated' | 'admin'
  /** The user or system it acts for. */
  readonly owner: string | undefined
  /** Where the request acted, as far as the Broker knows before it looks. */
  readonly zone: string | undefined
}

const form =
  /^key_id=(?<keyId>[0-9a-f-]{36}); tier=(?<tier>authenticated|admin)(?:; owner=(?<owner>[^;,\s]{0,4096}))?(?:; zone=(?<zone>[a-z0-9-]{1,64}))?$/

/** @param header - `X-Nexus-Identity` as it came; anything but its one form is nobody */
export function readIdentity(header: WireAnswer['headers'][string]): AgentIdentity | undefined {
  const { keyId, tier, owner, zone } = (typeof header === 'string' ? form.exec(header)?.groups : undefined) ?? {}
  if (keyId === undefined) return undefined
  return { keyId, tier: tier === 'admin' ? 'admin' : 'authenticated', owner: owner && decode(owner), zone }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
