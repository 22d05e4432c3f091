import { redirect, text } from './answers.ts'
import type { AuthorizationBehaviour } from './behaviour.ts'
import type { ScriptedClient } from './clients.ts'
import { duplicatedParameter, refuse, type ProviderContext } from './context.ts'
import type { Answer, RecordedRequest } from './exchange.ts'

/** RFC 6749 §4.1.1, without a person: it redirects straight back. */
export function authorize(context: ProviderContext, { query }: RecordedRequest): Answer {
  const client = context.clients.get(query.get('client_id') ?? '')
  const redirectUri = query.get('redirect_uri') ?? ''
  // RFC 6749 §4.1.2.1: nobody is sent to an address that is not known to be the client's
  if (client === undefined) return refusePage(context, `unknown client_id ${query.get('client_id')}`)
  if (!client.redirectUris.includes(redirectUri)) return refusePage(context, `unknown redirect_uri ${redirectUri}`)
  const fault = findFault(context, client, query)
  if (fault !== undefined) {
    context.noteViolation(`authorize: ${fault.description}`)
    return respond(context, query, { error: fault.error, error_description: fault.description })
  }
  const { error, errorDescription } = context.behaviour().authorization
  if (error === undefined) return respond(context, query, { code: issueCode(context, client, query) })
  return respond(context, query, { error, error_description: errorDescription })
}

function refusePage(context: ProviderContext, reason: string): Answer {
  return refuse(context, `authorize: ${reason}`, text(reason, { status: 400 }))
}

type Fault = { readonly error: string; readonly description: string }

function findFault(context: ProviderContext, client: ScriptedClient, query: URLSearchParams): Fault | undefined {
  const duplicated = duplicatedParameter(query)
  if (duplicated !== undefined) return invalidRequest(`${duplicated} is given twice`)
  const type = query.get('response_type')
  if (type !== 'code') return { error: 'unsupported_response_type', description: `response_type is ${type}` }
  if (query.has('client_secret')) return invalidRequest('client_secret travels through the browser')
  const challenge = query.get('code_challenge')
  if (challenge === null) {
    const isNeeded = context.pkce === 'required' || client.clientSecret === undefined
    return isNeeded ? invalidRequest('code_challenge is missing') : undefined
  }
  // plain protects nothing (RFC 9700 §2.1.1), and it is the default of RFC 7636 §4.3
  if (query.get('code_challenge_method') !== 'S256') return invalidRequest('code_challenge_method is not S256')
  return /^[\w-]{43}$/.test(challenge) ? undefined : invalidRequest('code_challenge is no SHA-256 in base64url')
}

function invalidRequest(description: string): Fault {
  return { error: 'invalid_request', description }
}

function issueCode(context: ProviderContext, client: ScriptedClient, query: URLSearchParams): string {
  return context.grants.issueCode({
    grant: {
      clientId: client.clientId,
      subject: context.behaviour().authorization.subject,
      scope: query.get('scope') ?? '',
      nonce: query.get('nonce') ?? undefined,
      revoked: false,
      refreshing: 0,
    },
    redirectUri: query.get('redirect_uri') ?? '',
    codeChallenge: query.get('code_challenge') ?? undefined,
    expiresAt: context.now() + 60_000,
  })
}

type ResponseParameters = Readonly<Record<string, string | null | undefined>>

function respond(context: ProviderContext, query: URLSearchParams, result: ResponseParameters): Answer {
  const { authorization } = context.behaviour()
  const parameters = Object.entries({
    ...result,
    ...(result['code'] === undefined ? {} : { code: override(authorization.code, result['code']) }),
    state: override(authorization.state, query.get('state')),
    iss: override(authorization.iss, context.issuer),
    ...authorization.extra,
  }).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  const redirectUri = query.get('redirect_uri') ?? ''
  if (usesFormPost(authorization, query)) return formPost(redirectUri, parameters)
  const location = new URL(redirectUri)
  for (const [name, value] of parameters) location.searchParams.append(name, value)
  return redirect(location.href)
}

function override<T>(lie: T | undefined, truth: T): T {
  return lie === undefined ? truth : lie
}

function usesFormPost({ responseMode }: AuthorizationBehaviour, query: URLSearchParams): boolean {
  return (responseMode ?? query.get('response_mode')) === 'form_post'
}

function formPost(action: string, parameters: readonly (readonly [string, string])[]): Answer {
  const inputs = parameters.map(([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`)
  const form = `<form method="post" action="${escapeHtml(action)}">${inputs.join('')}</form>`
  const page = `<!doctype html><title>One moment</title><body>${form}<script>document.forms[0].submit()</script>`
  return text(page, { contentType: 'text/html; charset=utf-8' })
}

function escapeHtml(value: string): string {
  return value.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
