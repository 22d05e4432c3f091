// An OAuth and OpenID provider on loopback that is honest until told to lie.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { resolveStep, text } from './answers.ts'
import { authorize } from './authorize-endpoint.ts'
import { changeBehaviour, honestBehaviour, type Behaviour, type BehaviourChange } from './behaviour.ts'
import type { ScriptedClient } from './clients.ts'
import type { ProviderContext } from './context.ts'
import type { Answer, Endpoint, RecordedRequest } from './exchange.ts'
import { createGrants, type GrantCounts } from './grants.ts'
import { answerUserinfo, describeProvider, publishKeys, revokeToken } from './other-endpoints.ts'
import { createRecorder, type Recorder } from './recorder.ts'
import { createScript, type Script } from './script.ts'
import { sendAnswer } from './send-answer.ts'
import { createSigningKeys, type SigningKeys } from './signing-keys.ts'
import { answerTokenRequest } from './token-endpoint.ts'

export type ScriptedProviderOptions = {
  readonly clients?: readonly ScriptedClient[]
  readonly behaviour?: BehaviourChange
  /** Default `required`. */
  readonly pkce?: 'required' | 'optional'
  /** The issuer's host: `localhost` makes it another site than 127.0.0.1, so that SameSite counts. */
  readonly host?: '127.0.0.1' | 'localhost'
  /** For issuers with a path, as tenants have: `/tenant`. */
  readonly issuerPath?: string
  /** How ID tokens are signed; default RS256. */
  readonly signingAlg?: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/**
 * The provider and what a test can do to it. Disposing of it throws if a scripted answer was never asked for, or a step
 * itself failed.
 */
export type ScriptedProvider = AsyncDisposable &
  Pick<Script, 'next' | 'always'> & {
    readonly issuer: string
    readonly port: number
    /** Every request, in order of arrival. */
    readonly requests: readonly RecordedRequest[]
    readonly requestsTo: (endpoint: Endpoint) => readonly RecordedRequest[]
    /** Waits until `count` requests (default 1) to `endpoint` have arrived in all, and returns the last of them. */
    readonly waitForRequest: (endpoint: Endpoint, count?: number) => Promise<RecordedRequest>
    readonly counts: () => GrantCounts
    /** Breaches of protocol by the client, in words. Empty for a well-behaved one. */
    readonly violations: readonly string[]
    /** Every code and token ever issued. */
    readonly secrets: () => readonly string[]
    readonly behave: (change: BehaviourChange) => void
    readonly addClient: (client: ScriptedClient) => void
    /** As if somebody had consented: the tokens of a grant of its own, for connections that a test writes by itself. */
    readonly grant: (clientId: string, scope: string) => { readonly accessToken: string; readonly refreshToken: string }
    /** False keeps no requests: for loads of many thousands. */
    readonly keepRequests: (isKept: boolean) => void
    readonly rotateKeys: SigningKeys['rotate']
  }

export async function startScriptedProvider(options: ScriptedProviderOptions = {}): Promise<ScriptedProvider> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  const clients = new Map((options.clients ?? []).map((client) => [client.clientId, client]))
  let behaviour: Behaviour = changeBehaviour(honestBehaviour, options.behaviour ?? {})
  const violations: string[] = []
  const context: ProviderContext = {
    issuer: `http://${options.host ?? '127.0.0.1'}:${port}${options.issuerPath ?? ''}`,
    clients,
    grants: createGrants(),
    keys: await createSigningKeys(options.signingAlg ?? 'RS256'),
    behaviour: () => behaviour,
    pkce: options.pkce ?? 'required',
    now: options.now ?? Date.now,
    noteViolation: (violation) => void violations.push(violation),
  }
  const script = createScript()
  const recorder = createRecorder(context.issuer)
  const faults: unknown[] = []
  server.on('request', (request, response) => {
    serve(context, script, recorder, request, response).catch((error: unknown) => {
      // a client that was killed while it sent its request is no fault of the script
      if (request.complete) faults.push(error)
      response.destroy()
    })
  })
  return {
    issuer: context.issuer,
    port,
    next: script.next,
    always: script.always,
    requests: recorder.requests,
    requestsTo: recorder.requestsTo,
    waitForRequest: recorder.waitForRequest,
    counts: context.grants.counts,
    violations,
    secrets: context.grants.secrets,
    behave: (change) => {
      behaviour = changeBehaviour(behaviour, change)
    },
    addClient: (client) => void clients.set(client.clientId, client),
    grant: (clientId, scope) => {
      const grant = { clientId, subject: 'ada', scope, nonce: undefined, revoked: false, refreshing: 0 }
      return {
        accessToken: context.grants.issueAccessToken(grant, context.now() + 3_600_000),
        refreshToken: context.grants.issueRefreshToken(grant),
      }
    },
    keepRequests: recorder.keep,
    rotateKeys: context.keys.rotate,
    [Symbol.asyncDispose]: () => close(server, script, faults),
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

async function close(server: Server, script: Script, faults: readonly unknown[]): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  if (faults.length > 0) throw new AggregateError(faults, `the scripted provider failed: ${faults.join('; ')}`)
  const unused = script.unused()
  if (unused.length > 0) throw new Error(unused.join('; '))
}

async function serve(
  context: ProviderContext,
  script: Script,
  recorder: Recorder,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const request = await recorder.record(incoming)
  const { endpoint } = request
  if (endpoint === undefined) return sendAnswer(response, text('no such endpoint', { status: 404 }))
  if (endpoint === 'token') response.once('close', context.grants.observe(request.form))
  const honest = async (): Promise<Answer> => answerHonestly(context, endpoint, request)
  const { delayMs } = context.behaviour().token
  if (endpoint === 'token' && delayMs > 0) await sleep(delayMs)
  const step = script.take(endpoint) ?? (await honest())
  await sendAnswer(response, await resolveStep(step, { request, honest }))
}

function answerHonestly(
  context: ProviderContext,
  endpoint: Endpoint,
  request: RecordedRequest,
): Answer | Promise<Answer> {
  switch (endpoint) {
    case 'discovery':
      return describeProvider(context)
    case 'jwks':
      return publishKeys(context)
    case 'authorize':
      return authorize(context, request)
    case 'token':
      return answerTokenRequest(context, request)
    case 'userinfo':
      return answerUserinfo(context, request)
    case 'revocation':
      return revokeToken(context, request)
  }
}
