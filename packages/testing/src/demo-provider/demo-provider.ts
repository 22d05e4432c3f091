// A real, certified OpenID provider on loopback whose sign-in page takes any name.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import Provider, { errors, type ClientMetadata } from 'oidc-provider'
import { createAccounts, type Accounts } from './accounts.ts'
import { createConfiguration, loadKeys, type DemoProviderSettings } from './configuration.ts'
import { errorPage, pageHeaders, signInPage } from './pages.ts'
import { openStateStore, type StateStore } from './state-store.ts'

export type { DemoProviderSettings } from './configuration.ts'

export type DemoProviderOptions = DemoProviderSettings & {
  /** Default: any free one. The issuer names it, so a demo that is to be found again keeps it. */
  readonly port?: number
  /**
   * OAuth clients by their registration metadata (RFC 7591 §2): `client_id`, `client_secret`, `redirect_uris`,
   * `token_endpoint_auth_method` (default `client_secret_basic`) …
   */
  readonly clients?: readonly ClientMetadata[]
  /** Keys, clients, sessions, grants and tokens are kept here, readable by this account only. Default: in memory. */
  readonly stateDir?: string
  /** Hears of errors of the provider itself; default: stderr. */
  readonly onError?: (error: unknown) => void
}

/** How often the token and revocation endpoints were used since the start. */
export type DemoProviderCounts = {
  /** Requests to the token endpoint, whatever came of them. */
  tokenRequests: number
  codeExchanges: number
  refreshes: number
  /** Token requests answered with an error. */
  refusals: number
  revocations: number
}

export type DemoProvider = AsyncDisposable & {
  readonly issuer: string
  readonly port: number
  readonly counts: Readonly<DemoProviderCounts>
  /**
   * Adds a client, or replaces the one of the same id.
   *
   * @throws Error if oidc-provider finds fault with it
   */
  readonly addClient: (client: ClientMetadata) => Promise<void>
  /** oidc-provider itself, for what has no knob here. */
  readonly provider: Provider
}

/** @throws Error if the port is taken or a client's metadata is invalid */
export async function startDemoProvider(options: DemoProviderOptions = {}): Promise<DemoProvider> {
  const server = createServer()
  const port = await listen(server, options.port ?? 0)
  const issuer = `http://127.0.0.1:${port}`
  const store = openStateStore(options.stateDir)
  const accounts = createAccounts(store)
  const provider = new Provider(issuer, createConfiguration(options, store, accounts, await loadKeys(store)))
  const report = options.onError ?? ((error: unknown) => console.error('demo provider:', error))
  provider.on('server_error', (_context, error) => report(error))
  const addClient = (client: ClientMetadata): Promise<void> => saveClient(store, provider, client)
  for (const client of options.clients ?? []) await addClient(client)
  server.on('request', createHandler(provider, accounts, report))
  return {
    issuer,
    port,
    counts: countRequests(server, provider),
    addClient,
    provider,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await store.saved()
    },
  }
}

async function saveClient(store: StateStore, provider: Provider, client: ClientMetadata): Promise<void> {
  const key = `Client:${client.client_id}`
  store.set(key, client)
  try {
    await provider.Client.find(client.client_id)
  } catch (cause) {
    store.delete(key)
    const reason = cause instanceof errors.OIDCProviderError ? cause.error_description : undefined
    throw new Error(`client ${client.client_id}: ${reason ?? String(cause)}`, { cause })
  }
  await store.saved()
}

async function listen(server: Server, wanted: number): Promise<number> {
  server.listen(wanted, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new Error(`port ${wanted} is taken: stop what listens there or choose another one`, { cause })
  }
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

function countRequests(server: Server, provider: Provider): DemoProviderCounts {
  const counts = { tokenRequests: 0, codeExchanges: 0, refreshes: 0, refusals: 0, revocations: 0 }
  server.on('request', ({ method, url }) => {
    if (method === 'POST' && url === '/token') counts.tokenRequests += 1
    if (method === 'POST' && url === '/token/revocation') counts.revocations += 1
  })
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params?.['grant_type'] === 'refresh_token') counts.refreshes += 1
    else counts.codeExchanges += 1
  })
  provider.on('grant.error', () => {
    counts.refusals += 1
  })
  return counts
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

function createHandler(provider: Provider, accounts: Accounts, report: (error: unknown) => void): Handler {
  const handle = provider.callback()
  return (request, response) => {
    if (request.url?.startsWith('/login/') !== true) return void handle(request, response)
    const answer = request.method === 'POST' ? finishSignIn : showSignIn
    answer({ provider, accounts, request, response }).catch((error: unknown) => {
      // an expired or foreign sign-in is the visitor's concern; anything else is ours
      const isExpired = error instanceof Error && error.name === 'SessionNotFound'
      if (!isExpired) report(error)
      const text = isExpired ? 'This sign-in is over. Go back and start again.' : 'The demo provider failed.'
      response.writeHead(isExpired ? 400 : 500, pageHeaders).end(errorPage(isExpired ? 'expired' : 'failed', text))
    })
  }
}

type Visit = {
  readonly provider: Provider
  readonly accounts: Accounts
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function showSignIn({ provider, accounts, request, response }: Visit): Promise<void> {
  const { params, session } = await provider.interactionDetails(request, response)
  const clientId = String(params['client_id'])
  const client = await provider.Client.find(clientId)
  const known = session?.accountId === undefined ? '' : accounts.nameOf(session.accountId)
  const html = signInPage({
    client: client?.clientName ?? clientId,
    scopes: scopeOf(params)
      .split(' ')
      .filter((scope) => scope !== ''),
    destination: new URL(String(params['redirect_uri'])).origin,
    suggestedName: typeof params['login_hint'] === 'string' ? params['login_hint'] : known,
  })
  response.writeHead(200, pageHeaders).end(html)
}

async function finishSignIn({ provider, accounts, request, response }: Visit): Promise<void> {
  const { params } = await provider.interactionDetails(request, response)
  const form = await readForm(request)
  if (form.get('answer') !== 'allow') {
    const refusal = { error: 'access_denied', error_description: 'the person said no' }
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false })
  }
  const accountId = accounts.signIn(form.get('login') ?? '')
  // a grant of its own for every consent: revoking one leaves the others alone
  const grant = new provider.Grant({ accountId, clientId: String(params['client_id']) })
  grant.addOIDCScope(scopeOf(params))
  const grantId = await grant.save()
  await provider.interactionFinished(request, response, { login: { accountId }, consent: { grantId } })
}

function scopeOf({ scope }: { readonly scope?: unknown }): string {
  return typeof scope === 'string' ? scope : ''
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let body = ''
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > 10_000) throw new Error('the sign-in form is too large')
  }
  return new URLSearchParams(body)
}
