import { allowOrigins, type AllowOrigins } from './allowed-origins.ts'
import { type AuthorizedFetch, createAuthorizedFetch } from './authorized-fetch.ts'
import { type Call, callNexus, type Fetch, type Transport } from './call-nexus.ts'
import { createCredentialCache } from './credential-cache.ts'
import type { Answer } from './read-answer.ts'
import type {
  CheckedConnection,
  CompletedConnection,
  ConnectionRequest,
  ConnectionRequested,
  Credential,
  Disconnected,
  Provider,
  ReconnectRequest,
} from './types.ts'
import { type WaitOptions, waitForActive } from './wait-for-active.ts'
import {
  readChecked,
  readCompleted,
  readCredential,
  readDisconnected,
  readProviders,
  readRequested,
  toConnectionBody,
  toReconnectBody,
} from './wire.ts'

export type CallOptions = {
  /** Ends the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export type RequestOptions = CallOptions & {
  /**
   * The same key gives the same connection for 24 hours, with a fresh link. Give one that outlives your process (an order
   * number, say) and a restart asks for nothing twice. Default: a new one for each call, so that its repetitions are safe.
   */
  readonly idempotencyKey?: string | undefined
}

export type Completion = {
  readonly connectionId: string
  /** From the query of your return URL. */
  readonly completionCode: string
  /** Who is signed in at your app now: it must be whom the connection was asked for. */
  readonly userId: string
}

export type AuthorizedFetchOptions = {
  /** Where the credential may be sent: `https://api.example.com`, … Default: the origin of the profile's `api_base_url`. */
  readonly allowedOrigins?: readonly string[] | undefined
  /** How long a credential without an expiry is used before it is read again. Default: 60. */
  readonly cacheSeconds?: number | undefined
  /** Sends the requests to the API. Default: the client's. */
  readonly fetch?: Fetch | undefined
}

/** Nexus, as an agent sees it. Every function throws NexusError, or the reason of the signal that ended it. */
export type NexusClient = {
  /** Asks for a link by which a person connects an account. Repeated safely. */
  requestConnection(request: ConnectionRequest, options?: RequestOptions): Promise<ConnectionRequested>
  /** Asks for a link by which the person of a connection consents anew; what it has works until then. Repeated safely. */
  reconnect(connectionId: string, request?: ReconnectRequest, options?: RequestOptions): Promise<ConnectionRequested>
  /** Resolves when the person has connected. @throws NexusError `connection_failed` and the like, or `timeout` */
  waitForActive(connectionId: string, options?: WaitOptions): Promise<CheckedConnection>
  /** How far a connection is. */
  checkConnection(connectionId: string, options?: CallOptions): Promise<CheckedConnection>
  /** The credential of a connection. For calls of an API use `createAuthorizedFetch`, which remembers and renews it. */
  getToken(connectionId: string, options?: CallOptions): Promise<Credential>
  /** Makes the provider issue another token. @throws NexusError `static_credential` when there is nothing to refresh */
  refresh(connectionId: string, options?: CallOptions): Promise<Credential>
  /** Forgets the credential and revokes it at the provider. */
  disconnect(connectionId: string, options?: CallOptions): Promise<Disconnected>
  /** The providers an account can be connected at. */
  listProviders(options?: CallOptions): Promise<readonly Provider[]>
  /** Activates a connection that was asked for with `completion: 'app'`. Sent once: the code is used up by it. */
  completeConnection(completion: Completion, options?: CallOptions): Promise<CompletedConnection>
  /** `fetch` with the credential of a connection. */
  createAuthorizedFetch(connectionId: string, options?: AuthorizedFetchOptions): AuthorizedFetch
}

/** The client over a transport; secrets live in the transport's closure and in no property. */
export function buildClient(transport: Transport): NexusClient {
  const call = (request: Call): Promise<Answer> => callNexus(transport, request)
  const checkConnection: NexusClient['checkConnection'] = async (id, options) =>
    readChecked(
      await call({ method: 'GET', path: pathOf('check-connection', id), repeat: 'safe', ...signalOf(options) }),
    )
  const getToken: NexusClient['getToken'] = async (id, options) => {
    const path = pathOf('token', id)
    // one that has expired is refreshed first
    return readCredential(
      await call({ method: 'GET', path, repeat: 'safe', patience: 'provider', ...signalOf(options) }),
    )
  }
  const refresh: NexusClient['refresh'] = async (id, options) => {
    const path = pathOf('refresh', id)
    // a second refresh would cost another token: only when Nexus says that there was no first
    return readCredential(
      await call({ method: 'POST', path, repeat: 'when-told', patience: 'provider', ...signalOf(options) }),
    )
  }
  const listProviders: NexusClient['listProviders'] = async (options) =>
    readProviders(await call({ method: 'GET', path: 'v1/providers/metadata', repeat: 'safe', ...signalOf(options) }))

  return {
    requestConnection: (request, options) =>
      askForLink(call, 'v1/request-connection', toConnectionBody(request), options),
    reconnect: (id, request = {}, options) =>
      askForLink(call, pathOf('reconnect', id), toReconnectBody(request), options),
    waitForActive: (id, options = {}) =>
      waitForActive((signal) => checkConnection(id, { signal }), transport.timing, options),
    checkConnection,
    getToken,
    refresh,
    async disconnect(id, options) {
      const path = pathOf('connections', id)
      return readDisconnected(
        await call({ method: 'DELETE', path, repeat: 'safe', patience: 'provider', ...signalOf(options) }),
      )
    },
    listProviders,
    completeConnection: (completion, options) => complete(call, completion, options),
    createAuthorizedFetch(id, { allowedOrigins, cacheSeconds = 60, fetch = transport.fetch } = {}) {
      const source = { read: () => getToken(id), refresh: () => refresh(id) }
      const cache = createCredentialCache(source, transport.timing, cacheSeconds * 1000)
      const allow: AllowOrigins = allowOrigins(allowedOrigins, () => listProviders())
      return createAuthorizedFetch({ cache, allowedOrigins: allow, fetch })
    },
  }
}

type CallFunction = (request: Call) => Promise<Answer>

async function askForLink(
  call: CallFunction,
  path: string,
  body: Readonly<Record<string, unknown>>,
  options: RequestOptions | undefined,
): Promise<ConnectionRequested> {
  const headers = { 'idempotency-key': options?.idempotencyKey ?? crypto.randomUUID() }
  return readRequested(await call({ method: 'POST', path, body, headers, repeat: 'safe', ...signalOf(options) }))
}

async function complete(
  call: CallFunction,
  completion: Completion,
  options: CallOptions | undefined,
): Promise<CompletedConnection> {
  const { connectionId, completionCode, userId } = completion
  const body = { connection_id: connectionId, completion_code: completionCode, user_id: userId }
  const path = 'v1/complete-connection'
  return readCompleted(
    await call({ method: 'POST', path, body, repeat: 'never', patience: 'completion', ...signalOf(options) }),
  )
}

function pathOf(operation: string, id: string): string {
  return `v1/${operation}/${encodeURIComponent(id)}`
}

function signalOf(options: CallOptions | undefined): { readonly signal?: AbortSignal } {
  return options?.signal === undefined ? {} : { signal: options.signal }
}
