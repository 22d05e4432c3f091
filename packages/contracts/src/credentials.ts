import { z } from 'zod'
import { recordId, timestamp } from './primitives.ts'

// No schema in this package has a field for a refresh token or a client secret (V5): the serializers drop what a schema does not name.

const oauthCredentials = {
  access_token: z.string(),
  token_type: z.string(),
  scope: z.string().optional(),
  expires_at: timestamp.nullable(),
  id_token: z.string().optional().describe('Where the profile sets expose_id_token'),
  extra: z.record(z.string(), z.unknown()).optional().describe('What the profile keeps of the provider’s answer'),
}

/** What an agent gets for an OAuth connection. The credential fields stand at the top level too, for clients of OAuth alone. */
export const oauthCredentialPayload = z
  .object({
    strategy: z.object({ type: z.literal('oauth2') }),
    credentials: z.object(oauthCredentials),
    ...oauthCredentials,
    expires_in: z.int().nullable().describe('Seconds left when the answer was made'),
    provider: z.string(),
    provider_id: recordId.describe('Of the profile: a name may be given to another one later'),
  })
  .meta({ id: 'OAuthCredentialPayload' })

/** How a static credential becomes part of a request. `api_key` profiles answer as `header`. */
export const strategyType = z.enum(['header', 'query_param', 'basic_auth', 'hmac_payload', 'aws_sigv4'])

const configName = z.string().regex(/^[a-z_]{1,64}$/, 'must be 1 to 64 of a-z and _')

export const credentialStrategy = z
  .strictObject({ type: strategyType, config: z.record(configName, z.string().max(2048)) })
  .meta({ id: 'CredentialStrategy' })

/** One value that a person gave: a line of text, a number, yes or no. */
export const credentialValue = z.union([z.string(), z.number(), z.boolean()])

/** What an agent gets for a connection whose credentials a person typed in. */
export const staticCredentialPayload = z
  .object({
    strategy: credentialStrategy,
    credentials: z.record(z.string(), credentialValue),
    provider: z.string(),
    provider_id: recordId.describe('Of the profile: a name may be given to another one later'),
  })
  .meta({ id: 'StaticCredentialPayload' })

export const credentialPayload = z
  .union([oauthCredentialPayload, staticCredentialPayload])
  .meta({ id: 'CredentialPayload' })

export type OAuthCredentialPayload = z.infer<typeof oauthCredentialPayload>
export type StaticCredentialPayload = z.infer<typeof staticCredentialPayload>
export type CredentialPayload = z.infer<typeof credentialPayload>
export type CredentialStrategy = z.infer<typeof credentialStrategy>
export type CredentialValue = z.infer<typeof credentialValue>
