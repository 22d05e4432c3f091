import type { AgentToken, CreatedAgentToken, Zone } from '@nexus/contracts'
import { type Answer, type Client, type Sent, mintToken } from './harness.ts'

/** A Broker as an agent meets it, through a Gateway. */
export function asAgent(broker: Client, token: string, zone?: string): Client {
  const { keys } = broker
  const headers = { authorization: `Bearer ${token}`, ...(zone !== undefined && { 'x-nexus-zone-id': zone }) }
  const send = <Body = unknown>(method: string, path: string, sent: Sent = {}): Promise<Answer<Body>> =>
    broker.send<Body>(method, path, { key: keys.API_KEY, ...sent, headers: { ...headers, ...sent.headers } })
  return {
    keys,
    send,
    get: <Body = unknown>(path: string, sent?: Sent) => send<Body>('GET', path, sent),
    post: <Body = unknown>(path: string, body?: unknown, sent?: Sent) => send<Body>('POST', path, { body, ...sent }),
  }
}

export type Refused = { readonly code: string; readonly details?: Readonly<Record<string, unknown>> }

export function mint(
  agent: Client,
  wanted: Readonly<Record<string, unknown>>,
): Promise<Answer<CreatedAgentToken & Refused>> {
  return agent.post('/agent-tokens', { name: crypto.randomUUID(), ...wanted })
}

let made = 0

/** A zone with a token that may do everything in it. */
export async function openTeam(broker: Client, permissions = 'rwx') {
  made += 1
  const zone = `team-${made}`
  const answer = await broker.post<Zone>('/zones', { name: zone })
  if (answer.status !== 201) throw new Error(`the zone was refused: ${answer.text}`)
  const token = await mintToken(broker, { zones: [{ zone, permissions }] })
  return { zone, token, agent: asAgent(broker, token) }
}

/** Finds a token as operators see it. */
export async function findToken(broker: Client, token: string): Promise<AgentToken> {
  const prefix = token.slice(0, -44)
  const { body } = await broker.get<{ tokens: AgentToken[] }>(`/agent-tokens?show_revoked=true&match=${prefix}`)
  const [found] = body.tokens
  if (found === undefined) throw new Error(`there is no token ${prefix}`)
  return found
}
