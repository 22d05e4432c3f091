import { randomBytes } from 'node:crypto'
import { randomToken } from '@nexus/crypto'

/** In the form of agent tokens; whether it is one is the Broker's to say. */
export function makeAgentToken(zone = 'root', name = 'bot'): string {
  return `sk-${zone}_${name}_${randomBytes(4).toString('hex')}_${randomToken(32)}`
}

export function bearing(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` }
}

export const keyId = '0198a1b2-0000-7000-8000-0000000000a1'

/** X-Nexus-Identity, as the Broker writes it. */
export function describeIdentity(given: {
  readonly keyId?: string
  readonly tier?: 'authenticated' | 'admin'
  readonly owner?: string
  readonly zone?: string
}): string {
  const { tier = 'authenticated', owner = 'alice', zone } = given
  const parts = [`key_id=${given.keyId ?? keyId}`, `tier=${tier}`, `owner=${encodeURIComponent(owner)}`]
  return [...parts, ...(zone === undefined ? [] : [`zone=${zone}`])].join('; ')
}
