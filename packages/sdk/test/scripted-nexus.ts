import type { ServerResponse } from 'node:http'
import { type ApiRequest, startApiServer } from '@nexus/testing'
import { buildClient, type NexusClient } from '../src/client.ts'
import { createTransport, type NexusClientOptions } from '../src/create-nexus-client.ts'
import type { Timing } from '../src/timing.ts'

export type ScriptedAnswer =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
  /** Takes the answer into its own hands. */
  | ((response: ServerResponse, request: ApiRequest) => void)

/** A Gateway that says what a test tells it to, over real HTTP. */
export type ScriptedNexus = AsyncDisposable & {
  readonly url: string
  readonly requests: readonly ApiRequest[]
  readonly requestsTo: (path: string) => readonly ApiRequest[]
  /** The answers to requests for `path`, one each; the last one stands. */
  readonly answer: (path: string, ...answers: readonly [ScriptedAnswer, ...ScriptedAnswer[]]) => void
}

export async function startScriptedNexus(): Promise<ScriptedNexus> {
  const server = await startApiServer()
  const pathOf = ({ target }: ApiRequest): string => target.split('?', 1).join('')
  return {
    url: server.url,
    requests: server.requests,
    requestsTo: (path) => server.requests.filter((request) => pathOf(request) === path),
    answer(path, ...answers) {
      const queue = [...answers]
      server.handle(path, (request, response) => {
        const next = queue.length > 1 ? queue.shift() : queue[0]
        if (typeof next === 'function') next(response, request)
        else send(response, next ?? {})
      })
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function send(response: ServerResponse, { status = 200, headers, body }: Exclude<ScriptedAnswer, Function>): void {
  const isText = typeof body === 'string'
  response.writeHead(status, { 'content-type': isText ? 'text/html' : 'application/json', ...headers })
  response.end(isText ? body : JSON.stringify(body ?? {}))
}

/** Time that passes only in pauses, and passes at once. */
export type TestTiming = Timing & {
  /** Milliseconds, each. */
  readonly pauses: readonly number[]
  readonly advance: (milliseconds: number) => void
}

export function createTestTiming(random = 0.5): TestTiming {
  const pauses: number[] = []
  let now = 1_000_000
  return {
    pauses,
    advance: (milliseconds) => void (now += milliseconds),
    now: () => now,
    random: () => random,
    async pause(milliseconds, signal) {
      signal?.throwIfAborted()
      pauses.push(milliseconds)
      now += milliseconds
    },
  }
}

/** A client whose pauses take no time. */
export function createTestClient(options: NexusClientOptions, timing: Timing = createTestTiming()): NexusClient {
  return buildClient({ ...createTransport(options), timing })
}

export const id = '0198a1b2-0000-7000-8000-000000000001'
export const providerId = '0198a1b2-0000-7000-8000-000000000002'

export const errorBody = (code: string, details?: Readonly<Record<string, unknown>>) => ({
  code,
  message: `this is ${code}`,
  request_id: 'r-1',
  ...(details && { details }),
})

export const oauthBody = (token: string, expiresIn: number | null = 3600) => {
  const credentials = { access_token: token, token_type: 'Bearer', scope: 'read', expires_at: null }
  return {
    strategy: { type: 'oauth2' },
    credentials,
    ...credentials,
    expires_in: expiresIn,
    provider: 'acme',
    provider_id: providerId,
  }
}

export const staticBody = (key: string, config: Readonly<Record<string, string>> = { header_name: 'X-Key' }) => ({
  strategy: { type: 'header', config },
  credentials: { api_key: key },
  provider: 'acme',
  provider_id: providerId,
})

export const requestedBody = {
  authUrl: 'https://nexus.example.com/auth/connect/ticket',
  connection_id: id,
  state: 'state.signature',
  scopes: ['read'],
  provider_id: providerId,
  expires_at: '2026-11-22T10:00:00.000Z',
  something_new: 1,
}

export const metadataBody = (apiBaseUrl: string | null, profileId = providerId) => ({
  oauth2: {
    acme: {
      id: profileId,
      api_base_url: apiBaseUrl,
      user_info_endpoint: null,
      scopes: ['read'],
      description: 'Acme',
      category: null,
    },
  },
})
