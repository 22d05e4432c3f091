import { randomBytes } from 'node:crypto'
import { randomToken } from '@nexus/crypto'
import type { Handler, ScriptedBroker } from './scripted-broker.ts'

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

/** Lets a route answer `body` to who shows one of these tokens, whose values are identities, and 401 to all others. */
export function judgeTokens(
  broker: ScriptedBroker,
  route: string,
  body: unknown,
  taken: ReadonlyMap<string, string>,
): void {
  const judge: Handler = (response, { headers }) => {
    const identity = taken.get(headers.authorization?.replace('Bearer ', '') ?? '')
    response.setHeader('content-type', 'application/json')
    if (identity === undefined) {
      response.writeHead(401).end(JSON.stringify({ code: 'invalid_token', message: 'no', request_id: 'x' }))
    } else {
      response.setHeader('x-nexus-identity', identity).end(JSON.stringify(body))
    }
  }
  broker.answer(route, judge)
}
