import type { DemoProvider } from '@nexus/testing/demo-provider'
import type { Keys } from './keys.ts'

/** What a person or a script needs to go on. */
export type Facts = {
  readonly broker: string
  readonly gateway: string
  readonly connect_url: string
  readonly connection_id: string
  readonly token_url: string
  readonly provider: string
}

type Scene = {
  readonly brokerUrl: string
  readonly gatewayUrl: string
  readonly keys: Keys
  readonly demo: DemoProvider
}

const providerName = 'demo'
const clientId = 'nexus-quickstart'
const scopes = ['openid', 'profile', 'email', 'offline_access', 'read']

/** The person of the demo, as the app that asks for a connection would name them. */
export const userId = 'demo'

/** Makes the Broker and the demo provider known to each other, as an operator does it with any provider. */
export const registerDemoProvider = async ({ brokerUrl, keys, demo }: Scene): Promise<void> => {
  const headers = { 'x-api-key': keys.ADMIN_API_KEY }
  const credentials = { issuer: demo.issuer, client_id: clientId, client_secret: keys.DEMO_CLIENT_SECRET }
  const profile = {
    name: providerName,
    description: 'A demo identity provider on this machine',
    enable_discovery: true,
    scopes,
    api_base_url: demo.issuer,
    user_info_endpoint: `${demo.issuer}/me`,
    ...credentials,
  }
  const known = await call<{ id: string }>('GET', `${brokerUrl}/providers/by-name/${providerName}`, { headers })
  const saved =
    known.status === 404
      ? await call<{ redirect_uri: string }>('POST', `${brokerUrl}/providers`, { headers, body: profile })
      : // what somebody changed in the profile stays, but it leads to the provider that runs now
        await call<{ redirect_uri: string }>('PATCH', `${brokerUrl}/providers/${expectOk(known).id}`, {
          headers,
          body: { ...credentials, api_base_url: demo.issuer, user_info_endpoint: `${demo.issuer}/me` },
        })
  await demo.addClient({
    client_id: clientId,
    client_name: 'Nexus',
    client_secret: keys.DEMO_CLIENT_SECRET,
    redirect_uris: [expectOk(saved).redirect_uri],
  })
}

/** Asks for a connection as an agent does, and gives the link for the person. */
export const requestConnection = async ({ brokerUrl, gatewayUrl }: Scene): Promise<Facts> => {
  const answer = await call<{ authUrl: string; connection_id: string }>('POST', `${gatewayUrl}/v1/request-connection`, {
    body: { user_id: userId, provider_name: providerName },
  })
  const { authUrl, connection_id } = expectOk(answer)
  return {
    broker: brokerUrl,
    gateway: gatewayUrl,
    connect_url: authUrl,
    connection_id,
    token_url: `${gatewayUrl}/v1/token/${connection_id}`,
    provider: providerName,
  }
}

/** A connection of an earlier run that still works. */
export const findActiveConnection = async ({ gatewayUrl }: Scene): Promise<string | undefined> => {
  const query = new URLSearchParams({ user_id: userId, provider: providerName, status: 'active', limit: '1' })
  const answer = await call<{ connections: readonly { id: string }[] }>('GET', `${gatewayUrl}/v1/connections?${query}`)
  return expectOk(answer).connections[0]?.id
}

type Answer<Body> = { readonly url: string; readonly status: number; readonly text: string; readonly body: () => Body }

const call = async <Body>(
  method: string,
  url: string,
  sent: { readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown } = {},
): Promise<Answer<Body>> => {
  const response = await fetch(url, {
    method,
    headers: { ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
    body: sent.body === undefined ? null : JSON.stringify(sent.body),
  })
  const text = await response.text()
  return { url, status: response.status, text, body: () => JSON.parse(text) as Body }
}

const expectOk = <Body>({ url, status, text, body }: Answer<Body>): Body => {
  if (status < 200 || status > 299) throw new Error(`${url} answered ${status}: ${text}`)
  return body()
}
