import type { Strategy } from './strategy.ts'

export type RedirectRules = {
  readonly drafts: (() => Request) | undefined
  readonly allowed: ReadonlySet<string>
  readonly strategy: Strategy
}

/**
 * The request to which a response redirects (Fetch §4.4, HTTP-redirect fetch); undefined when there is none, or when it
 * must not or cannot be made: at an origin where the credential has no business, or with a body that is spent.
 */
export function readRedirect(request: Request, response: Response, rules: RedirectRules): Request | undefined {
  const location = response.headers.get('location')
  if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return undefined
  const target = readTarget(location, request.url, rules.strategy)
  if (target === undefined || !rules.allowed.has(target.origin)) return undefined
  const { method, signal } = request
  const becomesGet = response.status === 303 ? !/^(GET|HEAD)$/.test(method) : response.status < 303 && method === 'POST'
  const headers = new Headers(request.headers)
  if (becomesGet) {
    for (const name of request.headers.keys()) if (name.startsWith('content-')) headers.delete(name)
    return new Request(target, { headers, signal })
  }
  if (request.body === null) return new Request(target, { method, headers, signal })
  const again = rules.drafts?.()
  return again === undefined ? undefined : new Request(target, again)
}

function readTarget(location: string, base: string, strategy: Strategy): URL | undefined {
  if (!URL.canParse(location, base)) return undefined
  const target = new URL(location, base)
  // an API that answers with the query it got: the credential in it is put there anew
  if (strategy.type === 'query_param') target.searchParams.delete(strategy.config.param_name)
  return target
}
