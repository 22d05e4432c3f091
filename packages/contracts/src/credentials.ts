import { z } from 'zod'
import { timestamp } from './primitives.ts'

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
export const credentialPayload = z
  .object({
    strategy: z.object({ type: z.literal('oauth2') }),
    credentials: z.object(oauthCredentials),
    ...oauthCredentials,
    expires_in: z.int().nullable().describe('Seconds left when the answer was made'),
    provider: z.string(),
  })
  .meta({ id: 'CredentialPayload' })

export type CredentialPayload = z.infer<typeof credentialPayload>
