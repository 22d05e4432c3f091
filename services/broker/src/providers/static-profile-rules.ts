import { type CredentialSchemaFault, compileCredentialSchema } from './credential-schema.ts'
import type { ProfileSettings } from './profile-settings.ts'
import type { StaticProvider } from './provider.ts'
import { type AssertUrlAllowed, assertUrls, refuseProfile } from './refuse-profile.ts'
import { fieldsOf, strategyShapes, strategyTypeOf } from './static-strategy.ts'

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
  await assertUrls(
    { api_base_url: provider.apiBaseUrl, user_info_endpoint: provider.userInfoEndpoint },
    assertUrlAllowed,
  )
}

function assertStrategy({ authType, strategy }: StaticProvider, { params = {} }: ProfileSettings): void {
  const expected = strategyTypeOf(authType)
  if (strategy.type !== expected) refuseProfile('params.auth_strategy', `must be of type ${expected}`)
  const shape = strategyShapes[strategy.type].config
  const unknown = Object.keys(strategy.config).find((name) => !Object.hasOwn(shape, name))
  const place = params.auth_strategy === undefined ? 'params' : 'params.auth_strategy.config'
  if (unknown !== undefined) refuseProfile(`${place}.${unknown}`, `is not known for ${strategy.type}`)
  for (const [name, fallback] of Object.entries(shape)) {
    if (fallback === null && strategy.config[name] === undefined) refuseProfile(`${place}.${name}`, 'is needed')
  }
}

function assertSchema({ credentialSchema, strategy }: StaticProvider): void {
  const compiled = compileCredentialSchema(credentialSchema)
  if (compiled.kind === 'refused') refuseSchema(compiled.fault)
  for (const field of fieldsOf(strategy)) {
    const found = compiled.schema.fields.find(({ name }) => name === field)
    if (found === undefined)
      refuseProfile('params.credential_schema', `lacks the field ${field}, which the strategy uses`)
    if (!found.isRequired) refuseProfile('params.credential_schema', `must require ${field}: the strategy uses it`)
  }
}

function refuseSchema({ place, problem }: CredentialSchemaFault): never {
  refuseProfile(`params.credential_schema${place}`, problem)
}
