import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingHttpHeaders, createServer } from 'node:http'
import type { CaptureSchema, CredentialCaptured } from '@nexus/contracts'
import { expect, onTestFinished, vi } from 'vitest'
import { type Answer, type Client, type Requested, registerProfile, requestConnection } from './harness.ts'

type Fields = Readonly<Record<string, unknown>>

/** Somebody's API key, as their provider knows it. */
export const goodKey = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'

export type ApiServer = {
  readonly url: string
  readonly requests: readonly { readonly url: string; readonly headers: IncomingHttpHeaders }[]
  /** What it answers from now on; the default: 200 to `Bearer ${goodKey}`, 401 to others. */
  readonly answer: (status: number) => void
  /** Keeps all who ask waiting until the returned function is called. */
  readonly hold: () => () => void
  readonly waitForRequests: (count: number) => Promise<void>
}

/** The API of a provider whose keys are typed in, with an endpoint that tells whether one works. */
export async function startApi(): Promise<ApiServer> {
  const requests: ApiServer['requests'][number][] = []
  let scripted: number | undefined
  let held = Promise.resolve()
  const server = createServer(({ url = '', headers }, response) => {
    requests.push({ url, headers })
    const isKnown = headers.authorization === `Bearer ${goodKey}`
    void held.then(() => {
      response.writeHead(scripted ?? (isKnown ? 200 : 401))
      // what an API says of somebody's key is no text of ours (P5)
      response.end(JSON.stringify({ canary: 'text-of-the-provider', echo: headers.authorization }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    answer: (status) => void (scripted = status),
    hold() {
      const gate = Promise.withResolvers<void>()
      held = gate.promise
      return gate.resolve
    },
    waitForRequests: (count) => vi.waitFor(() => expect(requests).toHaveLength(count), { timeout: 20_000 }),
  }
}

export type StaticProfile = { readonly name: string; readonly providerId: string }

/** A profile of Bearer keys under a name of its own; nothing tries them unless `more` says where. */
export async function registerStatic(broker: Client, more: Fields = {}): Promise<StaticProfile> {
  const name = `static-${randomUUID().slice(0, 8)}`
  const params = { value_prefix: 'Bearer ' }
  const { providerId } = await registerProfile(broker, { name, auth_type: 'api_key', params, ...more })
  return { name, providerId }
}

/** Profile fields that have keys tried at an API. */
export function triedAt(api: Pick<ApiServer, 'url'>, more: Fields = {}): Fields {
  return { api_base_url: `${api.url}/v1`, user_info_endpoint: `${api.url}/v1/me`, ...more }
}

/** A profile of its own and a request for a connection there. */
export async function requestStatic(
  broker: Client,
  profile: Fields = {},
  spec: Fields = {},
): Promise<Requested & StaticProfile> {
  const registered = await registerStatic(broker, profile)
  return { ...registered, ...(await requestConnection(broker, { provider_name: registered.name, ...spec })) }
}

/** `GET /auth/capture-schema`, as a front end asks: without any key. */
export function readSchema(broker: Client, state: string): Promise<Answer<CaptureSchema>> {
  return broker.get<CaptureSchema>(`/auth/capture-schema?state=${encodeURIComponent(state)}`, { key: undefined })
}

export type Captured = CredentialCaptured & {
  readonly code?: string
  readonly message?: string
  readonly details?: { readonly fields?: readonly { field: string; rule: string; message: string }[]; reason?: string }
}

/** `POST /auth/capture-credential`, as a front end sends it. */
export function capture(broker: Client, state: string, credentials: unknown = { api_key: goodKey }) {
  return broker.send<Captured>('POST', '/auth/capture-credential', {
    key: undefined,
    body: { state, credentials },
    headers: { accept: 'application/json' },
  })
}

/** What an agent gets of the connection. */
export async function storedKey(broker: Client, id: string): Promise<unknown> {
  const answer = await broker.get<{ credentials?: { api_key?: unknown } }>(`/connections/${id}/token`)
  return answer.body.credentials?.api_key
}
