import type { AuditEventBody, Connection } from '@nexus/contracts'
import {
  type ScriptedClient,
  type ScriptedProviderOptions,
  type TestDatabase,
  startScriptedProvider,
} from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import { expect, onTestFinished, vi } from 'vitest'
import {
  type Client,
  type Requested,
  clientId,
  clientSecret,
  registerProfile,
  requestConnection,
  startTestBroker,
} from './harness.ts'

/** `test` with one Broker per file; tests that need another configuration start their own. */
export const test = base.extend('broker', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  // a file sends more in a minute than a person would
  const broker = await startTestBroker(database, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '0' } })
  onCleanup(() => broker[Symbol.asyncDispose]())
  return broker
})

type Fields = Readonly<Record<string, unknown>>

export type ProviderOptions = {
  readonly provider?: Omit<ScriptedProviderOptions, 'clients'>
  /** Adds to discovery with `openid`; `undefined` takes a field out. */
  readonly profile?: Fields | ((issuer: string) => Fields)
  readonly client?: Partial<Pick<ScriptedClient, 'authMethods'>>
}

export type Scripted = Awaited<ReturnType<typeof openProvider>>

let made = 0

/** A scripted provider registered under a name of its own, gone when the test ends. ES256: RSA keys take long to make. */
export async function openProvider(broker: Client, options: ProviderOptions = {}) {
  const signingAlg = options.provider?.signingAlg ?? 'ES256'
  const provider = await startScriptedProvider({ ...options.provider, signingAlg })
  onTestFinished(() => provider[Symbol.asyncDispose]())
  made += 1
  const profile: Fields = {
    name: `provider-${made}`,
    issuer: provider.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'read'],
    id_token_signed_response_alg: signingAlg,
    ...(typeof options.profile === 'function' ? options.profile(provider.issuer) : options.profile),
  }
  const registered = await registerProfile(broker, profile)
  const secret = profile['client_secret']
  provider.addClient({
    clientId,
    ...(typeof secret === 'string' && { clientSecret: secret }),
    redirectUris: [registered.redirectUri],
    ...options.client,
  })
  return Object.assign(provider, registered, { name: String(profile['name']) })
}

/** Profile fields of plain OAuth 2.0: endpoints of its own, no issuer, no metadata. */
export function staticEndpoints(issuer: string): Fields {
  return { issuer: undefined, auth_url: `${issuer}/authorize`, token_url: `${issuer}/token`, scopes: ['read'] }
}

/** What came back to a browser. */
export type Arrival = {
  readonly status: number
  readonly headers: Headers
  readonly location: URL | undefined
  readonly text: string
}

export type Sending = {
  readonly method?: string
  /** The Cookie header. */
  readonly cookie?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
}

/** One request as a browser sends it; redirects are not followed. */
export async function send(
  url: string | URL,
  { method = 'GET', cookie, headers, body }: Sending = {},
): Promise<Arrival> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { accept: 'text/html', ...(cookie !== undefined && { cookie }), ...headers },
    body: body ?? null,
  })
  const target = response.headers.get('location')
  const location = target === null ? undefined : new URL(target, url)
  return { status: response.status, headers: response.headers, location, text: await response.text() }
}

/** A browser on its way: the link is opened, the cookie is set. */
export type Departure = {
  /** Of the provider's authorization endpoint. */
  readonly url: URL
  readonly state: string
  /** `name=value` */
  readonly cookie: string
  readonly setCookie: string
}

/** @param carried - cookies that the browser has by now; without any it is another browser */
export async function openLink(authUrl: string, carried?: string): Promise<Departure> {
  const { status, location, headers, text } = await send(authUrl, { cookie: carried })
  const setCookie = headers.get('set-cookie')
  if (location === undefined || setCookie === null) throw new Error(`the link did not open: ${status} ${text}`)
  const cookie = setCookie.split(';', 1)[0] ?? ''
  return { url: location, state: location.searchParams.get('state') ?? '', cookie, setCookie }
}

/** The person consents: returns the callback URL that the provider sends the browser to. */
export async function consent({ url }: Pick<Departure, 'url'>): Promise<URL> {
  const { location, status, text } = await send(url)
  if (location === undefined) throw new Error(`the provider did not send the browser back: ${status} ${text}`)
  return location
}

export type Journey = Departure & Pick<Requested, 'authUrl' | 'connection_id'> & { readonly callback: URL }

/** A link requested, opened and consented to: all but the last step, which the test makes. */
export async function travel(broker: Client, provider: Pick<Scripted, 'name'>, spec: Fields = {}): Promise<Journey> {
  const requested = await requestConnection(broker, { provider_name: provider.name, ...spec })
  const departure = await openLink(requested.authUrl)
  return { ...departure, ...requested, state: departure.state, callback: await consent(departure) }
}

/** The same URL at another server: where the public origin leads is the proxy's to say. */
export function atServer(url: URL, server: string): URL {
  return new URL(url.pathname + url.search, server)
}

/** The last step: the browser arrives at the callback with its cookie. */
export function arrive({ callback, cookie }: Pick<Journey, 'callback' | 'cookie'>): Promise<Arrival> {
  return send(callback, { cookie })
}

/** Our parameters in the URL that the browser is sent back to. */
export function returned({ status, location, text }: Arrival): Record<string, string> {
  if (status !== 303 || location === undefined) throw new Error(`no redirect to the app: ${status} ${text}`)
  return Object.fromEntries(location.searchParams)
}

export async function connectionOf(broker: Client, id: string): Promise<Connection> {
  return (await broker.get<Connection>(`/connections/${id}`)).body
}

/** `event outcome` of everything recorded about a connection, oldest first. */
export async function auditOf(broker: Client, id: string): Promise<readonly string[]> {
  return (await eventsOf(broker, id)).map(({ event, outcome }) => `${event} ${outcome}`)
}

export async function eventsOf(broker: Client, id: string): Promise<readonly AuditEventBody[]> {
  const { body } = await broker.get<{ events: AuditEventBody[] }>(`/audit?connection_id=${id}&limit=200`)
  return body.events.toReversed()
}

/** Holds the row at which all who change a handshake meet, so that many stand before it when it is let go. */
export async function holdHandshake({ pool }: Pick<TestDatabase, 'pool'>, connectionId: string) {
  const client = await pool.connect()
  await client.query('begin')
  await client.query('select 1 from handshakes where connection_id = $1 for update', [connectionId])
  const countBlocked = async (): Promise<number> => {
    const { rows } = await pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows[0]?.n ?? 0
  }
  return {
    waitForOthers: (count: number) =>
      vi.waitFor(async () => expect(await countBlocked()).toBeGreaterThanOrEqual(count), { timeout: 20_000 }),
    release: async () => {
      await client.query('rollback')
      client.release()
    },
  }
}
