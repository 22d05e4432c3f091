import type { CredentialStrategy, ProviderProfileInput, StaticAuthType } from '@nexus/contracts'

type StrategyType = CredentialStrategy['type']

type StrategyShape = {
  /** Configuration with its defaults; `null`: must be given; undefined: may be left out. */
  readonly config: Readonly<Record<string, string | null | undefined>>
  /** Which of them name a field of the credentials. */
  readonly fieldNames: readonly string[]
  /** Which of those names the secret. */
  readonly secretName?: string
}

/** What each strategy is configured with (contract.md, The credential payload). */
export const strategyShapes: Readonly<Record<StrategyType, StrategyShape>> = {
  header: {
    config: { header_name: 'Authorization', value_prefix: undefined, credential_field: 'api_key' },
    fieldNames: ['credential_field'],
    secretName: 'credential_field',
  },
  query_param: {
    config: { param_name: null, credential_field: 'api_key' },
    fieldNames: ['credential_field'],
    secretName: 'credential_field',
  },
  basic_auth: {
    config: { username_field: 'username', password_field: 'password' },
    fieldNames: ['username_field', 'password_field'],
    secretName: 'password_field',
  },
  hmac_payload: {
    config: { algorithm: 'sha256', header_name: null, encoding: 'hex', secret_field: 'secret' },
    fieldNames: ['secret_field'],
    secretName: 'secret_field',
  },
  aws_sigv4: { config: { service: null, region: 'us-east-1' }, fieldNames: [] },
}

/** What a stored profile says of its strategy. */
export type StaticSettings = { readonly auth_type: StaticAuthType; readonly params: ProfileParams }

type ProfileParams = NonNullable<ProviderProfileInput['params']>

/**
 * The strategy of a profile: what `auth_strategy` says, else the parameters by name, else the defaults. What it lacks, or
 * says too much, is for the rules of the profile to refuse.
 */
export function buildStrategy(authType: StaticAuthType, params: ProfileParams): CredentialStrategy {
  const type = params.auth_strategy?.type ?? strategyTypeOf(authType)
  const given = params.auth_strategy?.config ?? namedStrings(params)
  const defaults = Object.entries(strategyShapes[type].config).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  return { type, config: { ...Object.fromEntries(defaults), ...given } }
}

/** `api_key` is another name of `header`. */
export function strategyTypeOf(authType: StaticAuthType): StrategyType {
  return authType === 'api_key' ? 'header' : authType
}

/** The fields of the credentials that a strategy reads. */
export function fieldsOf({ type, config }: CredentialStrategy): readonly string[] {
  if (type === 'aws_sigv4') return ['access_key', 'secret_key']
  return strategyShapes[type].fieldNames.flatMap((name) => config[name] ?? [])
}

/** The fields that hold its secrets. */
export function secretFieldsOf({ type, config }: CredentialStrategy): readonly string[] {
  if (type === 'aws_sigv4') return ['secret_key', 'session_token']
  const { secretName } = strategyShapes[type]
  const field = secretName === undefined ? undefined : config[secretName]
  return field === undefined ? [] : [field]
}

function namedStrings(params: ProfileParams): Record<string, string> {
  const strings = Object.entries(params).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.fromEntries(strings)
}
