import { applyStrategy } from './apply-strategy.ts'
import type { Fetch } from './call-nexus.ts'
import type { CredentialCache, Held } from './credential-cache.ts'
import { NexusError } from './errors.ts'
import { readRedirect } from './follow-redirect.ts'
import { withoutSecretUrl } from './hide-url.ts'

/** `fetch` for one connection: same arguments, same answer. */
export type AuthorizedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export type AuthorizedFetchDeps = {
  readonly cache: CredentialCache
  /** Where this credential may be sent, from what is known of its provider. @throws NexusError */
  readonly allowedOrigins: (providerId: string) => Promise<ReadonlySet<string>>
  readonly fetch: Fetch
}

const mostRedirects = 10

/**
 * Sends requests with the credential of a connection, and once more when the API refuses that credential with 401 and
 * there is another one.
 *
 * The credential goes to allowed origins only. A redirect within them is followed, signed anew; one that leads elsewhere
 * is given back as it came. What needs a body that is a stream is sent once.
 */
export function createAuthorizedFetch(deps: AuthorizedFetchDeps): AuthorizedFetch {
  return async (input, init) => {
    const draft = new Request(input, init)
    const canRepeat = isRepeatable(input, init)
    // each sending takes the body of its request, so a second one is made from what the caller gave
    const drafts = canRepeat ? (): Request => new Request(input, init) : undefined
    const held = await deps.cache.get(draft.signal)
    const allowed = await deps.allowedOrigins(held.credential.providerId)
    assertAllowed(draft.url, allowed)

    const response = await sendAndFollow(deps, { draft, drafts, allowed, held })
    if (response.status !== 401) return response
    const renewed = await deps.cache.renew(held, draft.signal)
    if (renewed === undefined || drafts === undefined) return response
    await response.body?.cancel()
    return sendAndFollow(deps, { draft: drafts(), drafts, allowed, held: renewed })
  }
}

type Sending = {
  readonly draft: Request
  /** Makes the request anew; undefined when its body can be sent only once. */
  readonly drafts: (() => Request) | undefined
  readonly allowed: ReadonlySet<string>
  readonly held: Held
}

async function sendAndFollow(deps: AuthorizedFetchDeps, { draft, drafts, allowed, held }: Sending): Promise<Response> {
  const { redirect } = draft
  let next = draft
  for (let redirects = 0; ; redirects++) {
    const response = await sendOnce(deps.fetch, next, held)
    if (redirect !== 'follow') return response
    const followed = readRedirect(next, response, { drafts, allowed, strategy: held.credential.strategy })
    if (followed === undefined) return response
    if (redirects === mostRedirects) throw new NexusError('network_error', `more than ${mostRedirects} redirects`)
    await response.body?.cancel()
    next = followed
  }
}

async function sendOnce(fetch: Fetch, request: Request, { credential }: Held): Promise<Response> {
  const { url, redirect, signal } = request
  const { strategy, credentials } = credential
  const ready = await applyStrategy(request, strategy, { ...credentials })
  try {
    const response = await fetch(ready, { redirect: redirect === 'error' ? 'error' : 'manual' })
    return strategy.type === 'query_param' ? withoutSecretUrl(response, url, strategy.config.param_name) : response
  } catch (cause) {
    signal.throwIfAborted()
    // some say in their error which URL it was
    const known = strategy.type === 'query_param' ? {} : { cause }
    throw new NexusError('network_error', `no answer from ${new URL(url).origin}`, known)
  }
}

function assertAllowed(url: string, allowed: ReadonlySet<string>): void {
  const { origin } = new URL(url)
  if (allowed.has(origin)) return
  const where = [...allowed].join(', ')
  throw new NexusError(
    'origin_not_allowed',
    where === ''
      ? `the provider's profile has no api_base_url: say by allowedOrigins that its credential may go to ${origin}`
      : `the credential may go to ${where} and not to ${origin}; allowedOrigins says where else`,
    { details: { origin } },
  )
}

/** A stream is read once; so is the body of a Request, which is one. */
function isRepeatable(input: string | URL | Request, init: RequestInit | undefined): boolean {
  const body: unknown = init?.body
  if (body === undefined || body === null) return !(input instanceof Request && input.body !== null)
  return (
    typeof body === 'string' || !(typeof body === 'object' && (Symbol.asyncIterator in body || 'getReader' in body))
  )
}
