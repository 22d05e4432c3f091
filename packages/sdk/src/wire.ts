import { type Answer, listOf, objectOf, oneOfTexts, textOf, textOrNull } from './read-answer.ts'
import type {
  CheckedConnection,
  CompletedConnection,
  ConnectionRequest,
  ConnectionRequested,
  ConnectionStatus,
  Credential,
  Disconnected,
  Provider,
  ReconnectRequest,
} from './types.ts'
import type { StaticStrategy } from './strategy.ts'

// The one place that knows both ways of naming. Fields that a newer Nexus adds are passed over.

export function toConnectionBody(request: ConnectionRequest) {
  return {
    user_id: request.userId,
    provider_name: request.providerName,
    provider_id: request.providerId,
    scopes: request.scopes?.slice(),
    return_url: request.returnUrl,
    metadata: request.metadata,
    zone: request.zone,
    confirm: request.confirm,
    completion: request.completion,
  }
}

export function toReconnectBody(request: ReconnectRequest) {
  return {
    scopes: request.scopes?.slice(),
    return_url: request.returnUrl,
    metadata: request.metadata,
    allow_account_change: request.allowAccountChange,
    confirm: request.confirm,
    completion: request.completion,
  }
}

export function readRequested(answer: Answer): ConnectionRequested {
  return {
    authUrl: textOf(answer, 'authUrl'),
    connectionId: textOf(answer, 'connection_id'),
    state: textOf(answer, 'state'),
    scopes: listOf(answer, 'scopes'),
    providerId: textOf(answer, 'provider_id'),
    expiresAt: textOf(answer, 'expires_at'),
  }
}

const statuses: readonly ConnectionStatus[] = [
  'pending',
  'active',
  'attention_required',
  'failed',
  'expired',
  'revoked',
]

export function readChecked(answer: Answer): CheckedConnection {
  return { status: oneOfTexts(answer, 'status', statuses), statusReason: textOrNull(answer, 'status_reason') }
}

export function readCompleted(answer: Answer): CompletedConnection {
  return {
    connectionId: textOf(answer, 'connection_id'),
    status: oneOfTexts(answer, 'status', ['active']),
    provider: textOf(answer, 'provider'),
  }
}

export function readDisconnected(answer: Answer): Disconnected {
  return {
    revokedAtProvider: answer.body['revoked_at_provider'] === true,
    revocation: oneOfTexts(answer, 'revocation', ['done', 'queued', 'unsupported']),
  }
}

/** `GET /v1/providers/metadata`: by auth_type, then by name. */
export function readProviders(answer: Answer): readonly Provider[] {
  return Object.keys(answer.body).flatMap((authType) => {
    const group = objectOf(answer, authType)
    return Object.keys(group.body).map((name) => readProvider(objectOf(group, name), authType, name))
  })
}

function readProvider(answer: Answer, authType: string, name: string): Provider {
  return {
    id: textOf(answer, 'id'),
    name,
    authType,
    apiBaseUrl: textOrNull(answer, 'api_base_url'),
    userInfoEndpoint: textOrNull(answer, 'user_info_endpoint'),
    scopes: listOf(answer, 'scopes'),
    description: textOrNull(answer, 'description'),
    category: textOrNull(answer, 'category'),
  }
}

const strategyTypes = ['oauth2', 'header', 'api_key', 'query_param', 'basic_auth', 'hmac_payload', 'aws_sigv4'] as const

export function readCredential(answer: Answer): Credential {
  const strategy = objectOf(answer, 'strategy')
  const type = oneOfTexts(strategy, 'type', strategyTypes)
  const fields = objectOf(answer, 'credentials')
  const profile = { provider: textOf(answer, 'provider'), providerId: textOf(answer, 'provider_id') }
  if (type !== 'oauth2') {
    const config = strategy.body['config'] === undefined ? {} : objectOf(strategy, 'config').body
    return { strategy: asStaticStrategy({ type, config }), ...profile, credentials: fields.body }
  }
  const accessToken = textOf(fields, 'access_token')
  const { expires_in: expiresIn } = answer.body
  const credentials = {
    ...fields.body,
    access_token: accessToken,
    token_type: textOf(fields, 'token_type'),
    expires_at: textOrNull(fields, 'expires_at'),
  }
  return {
    strategy: { type },
    ...profile,
    credentials,
    accessToken,
    expiresIn: typeof expiresIn === 'number' ? expiresIn : null,
  }
}

/** What `config` holds is looked at where it is applied: field by field, with an error for each. */
function asStaticStrategy(strategy: {
  readonly type: StaticStrategy['type']
  readonly config: Readonly<Record<string, unknown>>
}): StaticStrategy {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return strategy as StaticStrategy
}
