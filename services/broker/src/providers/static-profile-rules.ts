import type { CredentialStrategy } from '@nexus/contracts'
import { findTrialUrl } from '../oauth/trial-url.ts'
import { type CredentialSchemaFault, compileCredentialSchema } from './credential-schema.ts'
import type { ProfileSettings } from './profile-settings.ts'
import type { StaticProvider } from './provider.ts'
import { type AssertUrlAllowed, assertUrls, refuseProfile } from './refuse-profile.ts'
import { fieldsOf, secretFieldsOf, strategyShapes, strategyTypeOf } from './static-strategy.ts'

/** What a profile of static credentials may say; the rest is of OAuth, and would be a promise that nobody keeps. */
const staticFields = new Set([
  'auth_type',
  'display_name',
  'description',
  'category',
  'api_base_url',
  'user_info_endpoint',
  'verify',
  'params',
])

/**
 * Refuses a profile whose credentials could not be asked for or not be used, naming the field.
 * @throws AppError `invalid_profile`
 */
export async function assertStaticProfileWorks(
  provider: StaticProvider,
  settings: ProfileSettings,
  assertUrlAllowed: AssertUrlAllowed,
): Promise<void> {
  const foreign = Object.keys(settings).find((field) => !staticFields.has(field))
  if (foreign !== undefined) refuseProfile(foreign, `is not for ${provider.authType}: its credentials are typed in`)
  if (provider.hasClientSecret) refuseProfile('client_secret', `is not for ${provider.authType}`)
  assertStrategy(provider, settings)
  assertSchema(provider)
  if (provider.userInfoEndpoint !== undefined && provider.apiBaseUrl === undefined) {
    refuseProfile('api_base_url', 'is needed where user_info_endpoint is given')
  }
  if (provider.verify === 'required' && findTrialUrl(provider) === undefined) {
    refuseProfile('verify', 'required needs a user_info_endpoint of the origin of api_base_url: nothing could be tried')
  }
  await assertUrls(
    { api_base_url: provider.apiBaseUrl, user_info_endpoint: provider.userInfoEndpoint },
    assertUrlAllowed,
  )
}

function assertStrategy({ authType, strategy }: StaticProvider, { params = {} }: ProfileSettings): void {
  const expected = strategyTypeOf(authType)
  const { auth_strategy: given, credential_schema: _, ...named } = params
  const [stray] = Object.keys(named)
  if (given !== undefined && stray !== undefined) {
    refuseProfile(`params.${stray}`, 'stands beside auth_strategy: give its configuration in one place')
  }
  if (strategy.type !== expected) refuseProfile('params.auth_strategy.type', `must be ${expected}`)
  const place = given === undefined ? 'params' : 'params.auth_strategy.config'
  // as they came: what is no text is no configuration either
  const said = given === undefined ? Object.keys(named) : Object.keys(strategy.config)
  const rules = configRules[strategy.type]
  const unknown = said.find((name) => !Object.hasOwn(rules, name))
  if (unknown !== undefined) refuseProfile(`${place}.${unknown}`, `is not known for ${strategy.type}`)
  for (const [name, rule] of Object.entries(rules)) {
    const value = strategy.config[name]
    if (value === undefined && strategyShapes[strategy.type].config[name] === null) {
      refuseProfile(`${place}.${name}`, 'is needed')
    }
    if (value !== undefined && !rule.isValid(value)) refuseProfile(`${place}.${name}`, rule.problem)
  }
  if (strategy.type === 'basic_auth' && new Set(fieldsOf(strategy)).size === 1) {
    refuseProfile(`${place}.password_field`, 'must be another field than username_field')
  }
}

type ConfigRule = { readonly isValid: (value: string) => boolean; readonly problem: string }

const matching = (pattern: RegExp, problem: string): ConfigRule => ({
  isValid: (value) => pattern.test(value),
  problem,
})
const oneOf = (...choices: readonly string[]): ConfigRule => ({
  isValid: (value) => choices.includes(value),
  problem: `must be ${choices.join(', ')}`,
})

// what says where a request goes, where it ends or who is asked is not for a credential
const takenHeaders =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive|cookie2?|proxy-.*|sec-.*)$/i
const headerName: ConfigRule = {
  // RFC 9110 §5.6.2
  isValid: (value) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/.test(value) && !takenHeaders.test(value),
  problem: 'must be the name of a header, and none that HTTP itself uses',
}
const fieldReference = matching(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'must be the name of a field of the credentials')

const configRules: Readonly<Record<CredentialStrategy['type'], Readonly<Record<string, ConfigRule>>>> = {
  header: {
    header_name: headerName,
    value_prefix: matching(/^[\x20-\x7e]{0,100}$/, 'must consist of printable ASCII characters'),
    credential_field: fieldReference,
  },
  query_param: {
    param_name: matching(/^[\x21-\x7e]{1,100}$/, 'must consist of 1 to 100 printable ASCII characters'),
    credential_field: fieldReference,
  },
  basic_auth: { username_field: fieldReference, password_field: fieldReference },
  hmac_payload: {
    algorithm: oneOf('sha1', 'sha256', 'sha384', 'sha512'),
    header_name: headerName,
    encoding: oneOf('hex', 'base64', 'base64url'),
    secret_field: fieldReference,
  },
  aws_sigv4: {
    service: matching(/^[a-z0-9-]{1,64}$/, 'must be the name of a service in signatures, such as s3 or execute-api'),
    region: matching(/^[a-z0-9-]{1,64}$/, 'must be a region, such as us-east-1'),
  },
}

function assertSchema({ credentialSchema, strategy }: StaticProvider): void {
  const compiled = compileCredentialSchema(credentialSchema, strategy)
  if (compiled.kind === 'refused') refuseSchema(compiled.fault)
  for (const field of fieldsOf(strategy)) {
    const found = compiled.schema.fields.find(({ name }) => name === field)
    if (found === undefined) {
      refuseProfile('params.credential_schema', `lacks the field ${field}, which the strategy uses`)
    }
    if (!found.isRequired) refuseProfile('params.credential_schema', `must require ${field}: the strategy uses it`)
  }
  // an optional one as well, where it is asked for
  const used = new Set([...fieldsOf(strategy), ...secretFieldsOf(strategy)])
  const other = compiled.schema.fields.find(({ name, type }) => used.has(name) && type !== 'string')
  if (other !== undefined) {
    refuseProfile(`params.credential_schema.properties.${other.name}.type`, 'must be string: the strategy uses it')
  }
}

function refuseSchema({ place, problem }: CredentialSchemaFault): never {
  refuseProfile(`params.credential_schema${place}`, problem)
}
