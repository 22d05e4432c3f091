import type { IncomingMessage } from 'node:http'
import type { Endpoint, RecordedRequest } from './exchange.ts'

/** Remembers every request. */
export type Recorder = {
  readonly requests: readonly RecordedRequest[]
  readonly record: (incoming: IncomingMessage) => Promise<RecordedRequest>
  readonly requestsTo: (endpoint: Endpoint) => readonly RecordedRequest[]
  readonly waitForRequest: (endpoint: Endpoint, count?: number) => Promise<RecordedRequest>
  readonly keep: (isKept: boolean) => void
}

export function createRecorder(issuer: string): Recorder {
  const requests: RecordedRequest[] = []
  const arrivals = new EventTarget()
  let isKept = true
  const endpoints = endpointsOf(new URL(issuer).pathname.replace(/\/$/, ''))
  const requestsTo = (endpoint: Endpoint): readonly RecordedRequest[] =>
    requests.filter((request) => request.endpoint === endpoint)
  return {
    requests,
    requestsTo,
    keep: (wanted) => void (isKept = wanted),
    record: async (incoming) => {
      const request = await readRequest(incoming, endpoints)
      if (isKept) requests.push(request)
      arrivals.dispatchEvent(new Event('request'))
      return request
    },
    waitForRequest: async (endpoint, count = 1) => {
      for (;;) {
        const found = requestsTo(endpoint)[count - 1]
        if (found !== undefined) return found
        await new Promise((resolve) => arrivals.addEventListener('request', resolve, { once: true }))
      }
    },
  }
}

/** With a path in the issuer, OIDC Discovery §4 puts the well-known part behind it, RFC 8414 §3.1 before it. */
function endpointsOf(path: string): ReadonlyMap<string, Endpoint> {
  return new Map<string, Endpoint>([
    [`${path}/.well-known/openid-configuration`, 'discovery'],
    [`${path}/.well-known/oauth-authorization-server`, 'discovery'],
    [`/.well-known/openid-configuration${path}`, 'discovery'],
    [`/.well-known/oauth-authorization-server${path}`, 'discovery'],
    [`${path}/jwks`, 'jwks'],
    [`${path}/authorize`, 'authorize'],
    [`${path}/token`, 'token'],
    [`${path}/userinfo`, 'userinfo'],
    [`${path}/revoke`, 'revocation'],
  ])
}

async function readRequest(
  incoming: IncomingMessage,
  endpoints: ReadonlyMap<string, Endpoint>,
): Promise<RecordedRequest> {
  const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://provider')
  let body = ''
  for await (const chunk of incoming.setEncoding('utf8')) body += String(chunk)
  const isForm = /^application\/x-www-form-urlencoded\b/.test(incoming.headers['content-type'] ?? '')
  return {
    endpoint: endpoints.get(pathname),
    method: incoming.method ?? '',
    path: pathname,
    query: searchParams,
    headers: incoming.headers,
    body,
    form: new URLSearchParams(isForm ? body : ''),
    at: performance.now(),
  }
}
