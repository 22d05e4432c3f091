import { z } from 'zod'
import { credentialStrategy } from './credentials.ts'
import { line, providerName, recordId, scopeList, timestamp, zoneName } from './primitives.ts'

const url = z.string().min(1).max(2048)
const parameterName = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 of A-Z, a-z, 0-9, _ . and -')
const parameterMap = z.record(parameterName, z.string().max(2048))

/**
 * Extra authorization parameters (any string-valued name), plus the named knobs. For static credentials the strings are
 * the strategy's configuration: `header_name`, `param_name`, `service` …
 */
export const profileParams = z
  .object({
    skip_scope_on_auth: z.boolean().optional().describe('Send no `scope` to the authorization endpoint'),
    skip_scope_on_exchange: z
      .boolean()
      .optional()
      .describe('Send no `scope` to the token endpoint (the default); false sends it, for providers that demand it'),
    token_params: parameterMap.optional().describe('Extra parameters of the code exchange'),
    refresh_params: parameterMap.optional().describe('Extra parameters of a refresh'),
    response_mode: z.enum(['query', 'form_post']).optional(),
    credential_schema: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('Static credentials: what a person is asked for, as JSON Schema (2020-12); each auth_type has its own'),
    auth_strategy: credentialStrategy
      .optional()
      .describe('Static credentials: how they are used, where the parameters by name are not enough'),
  })
  .catchall(z.string().max(2048))

const alias = line(64)

export const authType = z.enum([
  'oauth2',
  'api_key',
  'header',
  'query_param',
  'basic_auth',
  'hmac_payload',
  'aws_sigv4',
])

/** Asymmetric signatures only (RFC 7518 §3.1, RFC 8037): a client cannot check what it could also have signed. */
const signatureAlgorithm = z.enum([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
])

const optionalFields = {
  aliases: z.array(alias).max(20).optional().describe('Other names, found case-insensitively'),
  zones: z.array(zoneName).max(100).optional().describe('Zones that may start handshakes; none means all'),
  display_name: line(80).optional().describe('As people know it, for the pages they meet (the name)'),
  description: line(1000).optional(),
  category: line(64).optional(),
  auth_type: authType.optional().describe('oauth2 (the default), or the kind of static credential'),
  client_id: line(512).optional().describe('Needed for oauth2'),
  issuer: url.optional().describe('Issuer identifier, exactly as the provider writes it'),
  enable_discovery: z
    .boolean()
    .optional()
    .describe("Take the endpoints from the issuer's metadata (default: when there is an issuer and no token_url)"),
  auth_url: url.optional(),
  token_url: url.optional(),
  jwks_uri: url.optional(),
  id_token_signed_response_alg: signatureAlgorithm
    .optional()
    .describe('The one algorithm accepted for ID tokens (RS256)'),
  issuer_template: url
    .optional()
    .describe('Issuer of ID tokens where it holds the tenant: `{tenantid}` stands for the verified `tid`'),
  allowed_tenants: z.array(line(128)).max(200).optional(),
  auth_header: z.enum(['client_secret_post', 'client_secret_basic', 'none']).optional(),
  scopes: scopeList.optional(),
  scope_separator: z.string().min(1).max(3).optional().describe('Between scopes in requests and answers (a space)'),
  enforce_scopes: z.boolean().optional().describe('Refuse scopes that the profile does not list (true)'),
  api_base_url: url.optional(),
  user_info_endpoint: url.optional(),
  expose_id_token: z.boolean().optional(),
  distinct_redirect_uri: z
    .boolean()
    .optional()
    .describe('Give this profile a callback path of its own (RFC 9700 §4.4)'),
  pkce: z.enum(['required', 'disabled']).optional(),
  default_expires_in: z
    .int()
    .min(1)
    .max(315_360_000)
    .optional()
    .describe('Seconds, where the provider gives no expires_in'),
  fatal_refresh_errors: z
    .array(line(64))
    .max(20)
    .optional()
    .describe('Error codes that, like invalid_grant, end the grant'),
  refresh_reuse: z
    .enum(['refuses', 'revokes'])
    .optional()
    .describe(
      'What the provider does about a refresh token that is presented again: refuse it, or end the whole grant',
    ),
  revocation: z
    .enum(['grant', 'token_only', 'none'])
    .optional()
    .describe(
      'What a revocation ends (RFC 7009 §2.1): the whole grant (the default), that token alone; none: never ask',
    ),
  revocation_url: url.optional().describe("Where tokens are revoked, unless the issuer's metadata says"),
  confirm: z
    .boolean()
    .optional()
    .describe('Show a page that says who asks for what, before the person goes on to the provider (false)'),
  verify: z
    .enum(['required', 'best_effort', 'off'])
    .optional()
    .describe(
      'Static credentials: whether they are tried at user_info_endpoint when they are given. best_effort (the default) ' +
        'refuses what the provider refuses; required also refuses while the provider cannot be asked',
    ),
  keep_token_fields: z
    .array(parameterName)
    .max(20)
    .optional()
    .describe('Fields of the token answer handed to agents under `extra`'),
  keep_callback_params: z
    .array(parameterName)
    .max(20)
    .optional()
    .describe('Parameters of the callback handed to agents under `extra`'),
  params: profileParams.optional(),
}

const clientSecret = z.string().min(1).max(4096).describe('Sealed at rest, never answered')

/** What an operator sends to create or replace a profile. */
export const providerProfileInput = z
  .strictObject({ name: providerName, client_secret: clientSecret.optional(), ...optionalFields })
  .meta({ id: 'ProviderProfileInput' })

/** POST takes the profile bare or wrapped in `profile`. */
export const createProviderBody = z.union([z.strictObject({ profile: providerProfileInput }), providerProfileInput])

const revision = z
  .int()
  .min(1)
  .describe('Counts the changes of a profile; given with a change, the change is refused when it is no longer current')

export const replaceProviderBody = providerProfileInput.extend({ revision: revision.optional() })

// the first signature is what callers see: TypeScript cannot follow a mapping over entries
function nullable<T extends Record<string, z.ZodType>>(fields: T): { [K in keyof T]: z.ZodNullable<T[K]> }
function nullable(fields: Record<string, z.ZodType>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, schema.nullable()]))
}

/** PATCH changes what it names; `null` takes a field back to its default. */
export const patchProviderBody = z
  .strictObject({
    name: providerName.optional(),
    client_secret: clientSecret.nullable().optional(),
    revision: revision.optional(),
    ...nullable(optionalFields),
  })
  .meta({ id: 'ProviderProfilePatch' })

/** A profile as answered: everything but the secret, with what follows from it. */
export const providerProfile = z
  .object({
    id: recordId,
    name: providerName,
    has_client_secret: z.boolean(),
    revision: z.int(),
    redirect_uri: z
      .string()
      .nullable()
      .describe('Register exactly this at the provider; null where nobody is sent to one'),
    strategy: credentialStrategy.optional().describe('How agents use the static credentials of this profile'),
    credential_schema: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('What a person is asked for, where the credentials are static'),
    created_at: timestamp,
    updated_at: timestamp,
    alarm: z
      .object({ reason: z.string(), since: timestamp })
      .nullable()
      .describe('The provider refuses this client: nothing is refreshed until its operator has mended it'),
    ...optionalFields,
    id_token_signed_response_alg: z.string().optional(),
  })
  .meta({ id: 'ProviderProfile' })

const fixedFields = { id: true, alarm: true, revision: true, created_at: true, updated_at: true } as const

/** What `POST /providers/preview` answers to the body of a replacement. */
export const providerPreview = z
  .object({
    current: providerProfile.nullable().describe('The profile of this name; null: there is none yet'),
    next: providerProfile.omit(fixedFields).describe('What it would be'),
    missing_zones: z.array(zoneName).describe('Of the zones it names, those that do not exist: nobody sees it there'),
  })
  .meta({ id: 'ProviderPreview' })

export const createdProvider = z.object({ id: recordId, message: z.string(), redirect_uri: z.string().nullable() })

export const providerList = z.array(z.object({ id: recordId, name: providerName }))

export const providerMetadata = z
  .record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        id: recordId,
        api_base_url: z.string().nullable(),
        user_info_endpoint: z.string().nullable(),
        scopes: z.array(z.string()),
        description: z.string().nullable(),
        category: z.string().nullable(),
      }),
    ),
  )
  .describe('By auth_type, then by name')

export const aliasParams = z.strictObject({ id: recordId, alias })

export type ProviderProfileInput = z.infer<typeof providerProfileInput>
export type ProviderProfilePatch = z.infer<typeof patchProviderBody>
export type ProviderProfile = z.infer<typeof providerProfile>
export type ProviderPreview = z.infer<typeof providerPreview>

/** Query of `DELETE /providers/…`. */
export const removeProviderQuery = z.strictObject({
  disconnect: z
    .enum(['true', 'false'])
    .optional()
    .describe('true: disconnect its connections too, in the background; without it they keep working'),
})

/** What `?disconnect=true` answers. */
export const providerDisconnecting = z.object({
  connections: z.int().min(0).describe('How many are being disconnected'),
})

/** `POST /providers/:id/client-secret-matches`: whether this is the stored one, which nobody can read back. */
export const clientSecretCandidate = z.strictObject({ client_secret: z.string().min(1).max(4096) })
export const clientSecretMatches = z.object({ client_secret_matches: z.boolean() })

export type AuthType = z.infer<typeof authType>
export type StaticAuthType = Exclude<AuthType, 'oauth2'>
