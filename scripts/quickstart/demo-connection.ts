import { connectionList, connectionRequested, createdProvider, providerProfile } from '@nexus/contracts'
import type { DemoProvider } from '@nexus/testing/demo-provider'
import { call, read } from './call.ts'
import type { Keys } from './keys.ts'

/** What a person or a script needs to go on. */
export type Facts = {
  readonly broker: string
  readonly gateway: string
  readonly connect_url: string
  readonly connection_id: string
  readonly token_url: string
  readonly provider: string
  /** What agents show, as `Authorization: Bearer`. */
  readonly agent_token: string
}

export type Scene = {
  readonly brokerUrl: string
  readonly gatewayUrl: string
  readonly keys: Keys
  readonly demo: DemoProvider
  readonly token: string
}

const providerName = 'demo'
const clientId = 'nexus-quickstart'
const scopes = ['openid', 'profile', 'email', 'offline_access', 'read']

/** The person of the demo, as the app that asks for a connection would name them. */
export const userId = 'demo'

/** Makes the Broker and the demo provider known to each other, as an operator does it with any provider. */
export const registerDemoProvider = async ({ brokerUrl, keys, demo }: Omit<Scene, 'token'>): Promise<void> => {
  const headers = { 'x-api-key': keys.ADMIN_API_KEY }
  // what somebody changed in a known profile stays, but it leads to the provider that runs now
  const address = {
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: keys.DEMO_CLIENT_SECRET,
    api_base_url: demo.issuer,
    user_info_endpoint: `${demo.issuer}/me`,
  }
  const description = 'A demo identity provider on this machine'
  const profile = { name: providerName, description, enable_discovery: true, scopes, ...address }
  const known = await call('GET', `${brokerUrl}/providers/by-name/${providerName}`, { headers })
  const saved =
    known.status === 404
      ? await call('POST', `${brokerUrl}/providers`, { headers, body: profile })
      : await call('PATCH', `${brokerUrl}/providers/${read(providerProfile, known).id}`, { headers, body: address })
  await demo.addClient({
    client_id: clientId,
    client_name: 'Nexus',
    client_secret: keys.DEMO_CLIENT_SECRET,
    redirect_uris: [read(createdProvider.pick({ redirect_uri: true }), saved).redirect_uri ?? ''],
  })
}

/** Asks for a connection as an agent does, and gives the link for the person. */
export const requestConnection = async ({ brokerUrl, gatewayUrl, token }: Scene): Promise<Facts> => {
  const body = { user_id: userId, provider_name: providerName }
  const answer = await call('POST', `${gatewayUrl}/v1/request-connection`, { headers: asAgent(token), body })
  const { authUrl, connection_id } = read(connectionRequested, answer)
  return {
    broker: brokerUrl,
    gateway: gatewayUrl,
    connect_url: authUrl,
    connection_id,
    token_url: `${gatewayUrl}/v1/token/${connection_id}`,
    provider: providerName,
    agent_token: token,
  }
}

const asAgent = (token: string) => ({ authorization: `Bearer ${token}` })

/** A connection of an earlier run that still works. */
export const findActiveConnection = async ({ gatewayUrl, token }: Scene): Promise<string | undefined> => {
  const query = new URLSearchParams({ user_id: userId, provider: providerName, status: 'active', limit: '1' })
  const listed = await call('GET', `${gatewayUrl}/v1/connections?${query.toString()}`, { headers: asAgent(token) })
  return read(connectionList, listed).connections[0]?.id
}
