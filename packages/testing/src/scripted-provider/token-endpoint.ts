import { createHash } from 'node:crypto'
import { form, json, oauthError } from './answers.ts'
import { authenticateClient, type ScriptedClient } from './clients.ts'
import { duplicatedParameter, refuse, type ProviderContext } from './context.ts'
import type { Answer, RecordedRequest } from './exchange.ts'
import type { Code, Grant } from './grants.ts'
import { makeIdToken } from './id-token.ts'

/** RFC 6749 §3.2: the checks every token request must pass, then the grant's own. */
export async function answerTokenRequest(context: ProviderContext, request: RecordedRequest): Promise<Answer> {
  const fault = findRequestFault(request)
  if (fault !== undefined)
    return refuse(context, `token: ${fault}`, oauthError('invalid_request', { description: fault }))
  const authentication = authenticateClient(context.clients, request)
  if ('fault' in authentication) {
    const headers = { 'www-authenticate': 'Basic realm="scripted"' }
    const answer = oauthError('invalid_client', { status: 401, description: authentication.fault, headers })
    return refuse(context, `token: ${authentication.fault}`, answer)
  }
  switch (request.form.get('grant_type')) {
    case 'authorization_code':
      return exchangeCode(context, authentication.client, request)
    case 'refresh_token':
      return refreshTokens(context, authentication.client, request)
    default:
      return refuse(context, 'token: unknown grant_type', oauthError('unsupported_grant_type'))
  }
}

function findRequestFault({ method, query, headers, form: fields }: RecordedRequest): string | undefined {
  if (method !== 'POST') return `${method} instead of POST`
  const type = headers['content-type'] ?? '(none)'
  if (!/^application\/x-www-form-urlencoded\b/.test(type)) return `content type ${type} instead of a form`
  if (query.has('client_secret') || query.has('code') || query.has('refresh_token')) return 'a secret stands in the URL'
  const duplicated = duplicatedParameter(fields)
  return duplicated === undefined ? undefined : `${duplicated} is given twice`
}

function invalidGrant(description: string): Answer {
  return oauthError('invalid_grant', { description })
}

async function exchangeCode(
  context: ProviderContext,
  client: ScriptedClient,
  request: RecordedRequest,
): Promise<Answer> {
  const code = context.grants.findCode(request.form.get('code') ?? '')
  if (code === undefined || code.grant.clientId !== client.clientId) return invalidGrant('unknown code')
  if (code.used) {
    // RFC 6749 §4.1.2: whoever got the first tokens may have stolen the code
    code.grant.revoked = true
    return refuse(context, 'token: the code was used before', invalidGrant('the code was used before'))
  }
  code.used = true
  if (code.expiresAt < context.now()) return invalidGrant('the code has expired')
  const fault = findExchangeFault(code, request.form)
  if (fault !== undefined) return refuse(context, `token: ${fault}`, invalidGrant(fault))
  return issueTokens(context, client, request, code.grant, undefined)
}

function findExchangeFault(code: Code, fields: URLSearchParams): string | undefined {
  if (fields.get('redirect_uri') !== code.redirectUri) return 'redirect_uri differs from the authorization request'
  const verifier = fields.get('code_verifier')
  // RFC 9700 §4.8.2: a verifier without a challenge is a sign of a PKCE downgrade
  if (code.codeChallenge === undefined) return verifier === null ? undefined : 'code_verifier without a code_challenge'
  if (verifier === null) return 'code_verifier is missing'
  if (!/^[\w.~-]{43,128}$/.test(verifier)) return 'code_verifier is not of the form RFC 7636 §4.1 asks for'
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  return challenge === code.codeChallenge ? undefined : 'code_verifier does not match the code_challenge'
}

async function refreshTokens(
  context: ProviderContext,
  client: ScriptedClient,
  request: RecordedRequest,
): Promise<Answer> {
  const presented = request.form.get('refresh_token') ?? ''
  const token = context.grants.findRefreshToken(presented)
  if (token === undefined || token.grant.clientId !== client.clientId) return invalidGrant('unknown refresh token')
  if (token.grant.revoked) return invalidGrant('the grant was revoked')
  const { graceSeconds, onReuse, refreshTokens: policy } = context.behaviour().token
  if (token.supersededAt !== undefined && context.now() > token.supersededAt + graceSeconds * 1000) {
    context.grants.noteReuse()
    if (onReuse === 'revoke-family') token.grant.revoked = true
    return invalidGrant('the refresh token was used before')
  }
  const scope = request.form.get('scope')
  const allowed = new Set(token.grant.scope.split(' '))
  if (scope?.split(' ').some((wanted) => !allowed.has(wanted)) === true) {
    return refuse(context, 'token: a refresh asks for more scope', oauthError('invalid_scope'))
  }
  if (policy === 'rotate') token.supersededAt ??= context.now()
  return issueTokens(context, client, request, token.grant, presented)
}

async function issueTokens(
  context: ProviderContext,
  client: ScriptedClient,
  request: RecordedRequest,
  grant: Grant,
  presented: string | undefined,
): Promise<Answer> {
  const { token } = context.behaviour()
  const lifetime = (token.lifetimeSeconds ?? 3600) * 1000
  const fields = {
    access_token: context.grants.issueAccessToken(grant, context.now() + lifetime),
    token_type: token.tokenType,
    ...(token.lifetimeSeconds === null ? {} : { expires_in: token.lifetimeSeconds }),
    scope: token.scope ?? request.form.get('scope') ?? grant.scope,
    ...issueRefreshToken(context, grant, presented),
    ...(await issueIdToken(context, client, grant, presented !== undefined)),
    ...token.extra,
  }
  const wantsJson = token.format === 'json' || (request.headers.accept ?? '').includes('application/json')
  if (token.format === 'form' || !wantsJson) {
    return form(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)])))
  }
  return json(fields)
}

function issueRefreshToken(
  context: ProviderContext,
  grant: Grant,
  presented: string | undefined,
): { refresh_token?: string } {
  const policy = context.behaviour().token.refreshTokens
  if (policy === 'none') return {}
  if (presented === undefined || policy === 'rotate') return { refresh_token: context.grants.issueRefreshToken(grant) }
  return policy === 'constant' ? { refresh_token: presented } : {}
}

async function issueIdToken(
  context: ProviderContext,
  client: ScriptedClient,
  grant: Grant,
  isRefresh: boolean,
): Promise<{ id_token?: string }> {
  const { token, idToken: forgery } = context.behaviour()
  const isDue = token.idToken === 'always' || grant.scope.split(' ').includes('openid')
  if (token.idToken === 'never' || !isDue || (isRefresh && !token.idTokenOnRefresh)) return {}
  const now = Math.floor(context.now() / 1000)
  const claims = {
    iss: context.issuer,
    sub: grant.subject,
    aud: client.clientId,
    iat: now,
    exp: now + 3600,
    // OIDC Core §12.2: an ID token from a refresh need not repeat the nonce
    ...(grant.nonce === undefined || isRefresh ? {} : { nonce: grant.nonce }),
  }
  const idToken = await makeIdToken(claims, forgery, context.keys, client.clientSecret ?? '')
  context.grants.noteSecret(idToken)
  return { id_token: idToken }
}
