import { type Browser, createBrowser } from '@nexus/testing'
import { type Client, isApp, requestConnection } from './harness.ts'
import { type ProviderOptions, type Scripted, openProvider } from './handshake-scene.ts'

type Fields = Readonly<Record<string, unknown>>

/** Somebody connects an account at the provider. @returns the id of the active connection */
export async function connect(
  broker: Client,
  provider: { readonly name: string },
  spec: Fields = {},
  browser: Browser = createBrowser(),
): Promise<string> {
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name, ...spec })
  const { url } = await browser.open(authUrl, { stopAt: isApp })
  if (url.searchParams.get('status') !== 'success') throw new Error(`the account was not connected: ${url.href}`)
  return connection_id
}

export type Connected = { readonly provider: Scripted; readonly id: string }

/** A provider of its own, and one account connected there. */
export async function openConnection(broker: Client, options: ProviderOptions = {}): Promise<Connected> {
  const provider = await openProvider(broker, options)
  return { provider, id: await connect(broker, provider) }
}

/** Plain OAuth with refresh tokens, and an account connected: no ID tokens in the way. */
export function openPlainConnection(
  broker: Client,
  token: NonNullable<NonNullable<NonNullable<ProviderOptions['provider']>['behaviour']>['token']> = {},
  profile: Fields = {},
): Promise<Connected> {
  return openConnection(broker, { provider: { behaviour: { token } }, profile: { scopes: ['read'], ...profile } })
}
