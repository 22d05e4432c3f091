import { json, oauthError, text } from './answers.ts'
import { authenticateClient } from './clients.ts'
import { refuse, type ProviderContext } from './context.ts'
import type { Answer, RecordedRequest } from './exchange.ts'

/** RFC 8414 §2 and OIDC Discovery §3. */
export function describeProvider(context: ProviderContext): Answer {
  return json({
    issuer: context.issuer,
    authorization_endpoint: `${context.issuer}/authorize`,
    token_endpoint: `${context.issuer}/token`,
    jwks_uri: `${context.issuer}/jwks`,
    userinfo_endpoint: `${context.issuer}/userinfo`,
    revocation_endpoint: `${context.issuer}/revoke`,
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'form_post'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [context.keys.alg],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    ...context.behaviour().metadata,
  })
}

export async function publishKeys(context: ProviderContext): Promise<Answer> {
  return json(await context.keys.jwks())
}

/** OIDC Core §5.3. */
export function answerUserinfo(context: ProviderContext, { headers }: RecordedRequest): Answer {
  const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const found = token === undefined ? undefined : context.grants.findAccessToken(token)
  if (found === undefined || found.grant.revoked || found.expiresAt < context.now()) {
    return oauthError('invalid_token', { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } })
  }
  const { subject } = found.grant
  return json({ sub: subject, name: subject, email: `${subject}@scripted.test` })
}

/** RFC 7009: unknown tokens are no error. */
export function revokeToken(context: ProviderContext, request: RecordedRequest): Answer {
  const authentication = authenticateClient(context.clients, request)
  if ('fault' in authentication) {
    const answer = oauthError('invalid_client', { status: 401, description: authentication.fault })
    return refuse(context, `revocation: ${authentication.fault}`, answer)
  }
  const token = request.form.get('token')
  if (token === null) return refuse(context, 'revocation: no token', oauthError('invalid_request'))
  context.grants.revoke(token)
  return text('')
}
