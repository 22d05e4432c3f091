import { randomUUID } from 'node:crypto'
import { type Arrival, type Sending, send } from './handshake-scene.ts'
import { type Client, type Requested, requestConnection } from './harness.ts'

export const apiKey = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'

/** Registers a profile whose credentials are typed in, under a name of its own. */
export async function registerStatic(broker: Client, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const name = `static-${randomUUID().slice(0, 8)}`
  const answer = await broker.post('/providers', { name, auth_type: 'api_key', ...more })
  if (answer.status !== 201) throw new Error(`the profile was refused: ${answer.text}`)
  return name
}

/** A page that a browser was shown, with the cookie it was given. */
export type OpenedPage = Pick<Requested, 'authUrl' | 'connection_id'> & {
  readonly state: string
  readonly cookie: string
  readonly page: Arrival
}

/** Asks for a connection and opens its link, which leads to a page of ours. */
export async function openPageFor(
  broker: Client,
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<OpenedPage> {
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: name, ...spec })
  const path = new URL(authUrl).pathname
  // the public origin may be a name that leads nowhere here
  const page = await send(authUrl.startsWith('http://127.0.0.1') ? authUrl : `${urlOf(broker)}${path}`)
  const state = /name="state" value="([^"]+)"/.exec(page.text)?.[1]
  const cookie = page.headers.get('set-cookie')?.split(';', 1)[0]
  if (state === undefined || cookie === undefined) throw new Error(`no page with a form: ${page.status} ${page.text}`)
  return { authUrl, connection_id, state, cookie, page }
}

function urlOf(broker: Client): string {
  if (!('url' in broker) || typeof broker.url !== 'string') throw new Error('this Broker does not say where it is')
  return broker.url
}

/** Sends the form of a page as its browser would, with `fields` beside the state. */
export function submitPage(
  { authUrl, state, cookie }: Pick<OpenedPage, 'authUrl' | 'state' | 'cookie'>,
  fields: Readonly<Record<string, string>>,
  more: Sending = {},
): Promise<Arrival> {
  return send(authUrl, { method: 'POST', cookie, body: new URLSearchParams({ state, ...fields }), ...more })
}
