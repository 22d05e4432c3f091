import { z } from 'zod'
import { line, recordId, scopeList, stateToken, timestamp, zoneName } from './primitives.ts'

const maxMetadataBytes = 16_384

/** Of a request for a connection, in bytes: four times what its metadata may take. */
export const connectionRequestLimit = 65_536

/** The caller's own notes on a connection: a JSON object of at most 16 KiB, given back as it came. */
export const connectionMetadata = z
  // what reaches a schema was parsed as JSON; walking it again, node by node, is work an attacker could order
  .record(z.string(), z.unknown())
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= maxMetadataBytes, 'must be at most 16 KiB of JSON')

const returnUrl = z.string().min(1).max(2048).describe('Where the user goes afterwards')

const pages = {
  confirm: z
    .boolean()
    .optional()
    .describe('Show a page that says who asks for what, before the person goes on to the provider'),
  completion: z
    .enum(['app'])
    .optional()
    .describe(
      'app: nothing is connected until the app has said which of its users came back (complete-connection); needs return_url',
    ),
}

const request = {
  ...pages,
  provider_id: recordId.optional(),
  provider_name: line(64).optional().describe('Name or alias'),
  scopes: scopeList.optional().describe("A subset of the profile's scopes; none means all of them"),
  return_url: returnUrl.optional(),
  metadata: connectionMetadata.optional(),
  zone: zoneName.optional(),
}

const onlyOneProvider = (value: { provider_id?: string | undefined; provider_name?: string | undefined }) =>
  (value.provider_id === undefined) !== (value.provider_name === undefined)
const oneProvider = { message: 'give either provider_name or provider_id', path: ['provider_name'] }

const returnsToApp = (value: { completion?: 'app' | undefined; return_url?: string | undefined }) =>
  value.completion === undefined || value.return_url !== undefined
const needsReturnUrl = { message: 'is needed for completion "app"', path: ['return_url'] }

/** `POST /auth/consent-spec` on the Broker. */
export const consentSpecBody = z
  .strictObject({ workspace_id: line(256).describe('Whose account this is'), ...request })
  .refine(onlyOneProvider, oneProvider)
  .refine(returnsToApp, needsReturnUrl)

/** `POST /v1/request-connection` on the Gateway. */
export const requestConnectionBody = z
  .strictObject({ user_id: line(256).describe('Whose account this is'), ...request })
  .refine(onlyOneProvider, oneProvider)
  .refine(returnsToApp, needsReturnUrl)

/** `POST /connections/:id/reconnect` on the Broker, `POST /v1/reconnect/:id` on the Gateway. */
export const reconnectBody = z
  .strictObject({
    ...pages,
    scopes: scopeList.optional().describe("A subset of the profile's scopes; none means those the connection has"),
    return_url: returnUrl.optional(),
    metadata: connectionMetadata.optional().describe("Takes the place of the connection's, once it is reconnected"),
    allow_account_change: z.boolean().optional().describe('Whether the person may come back with another account'),
  })
  .refine(returnsToApp, needsReturnUrl)

export const connectionRequested = z
  .object({
    authUrl: z.string().describe('Open it in the browser of the person whose account it is'),
    connection_id: recordId,
    state: stateToken,
    scopes: z.array(z.string()),
    provider_id: recordId,
    expires_at: timestamp.describe('Until when the link can be opened'),
  })
  .meta({ id: 'ConnectionRequested' })

/** Of `POST …/capture-credential`, in bytes. */
export const captureLimit = 65_536

/** `GET /auth/capture-schema`: the state that came with the link is the credential. */
export const captureSchemaQuery = z.strictObject({ state: stateToken })

export const captureSchema = z
  .object({
    provider_name: z.string(),
    description: z.string().nullable(),
    schema: z.record(z.string(), z.unknown()).describe('JSON Schema (2020-12) of `credentials`'),
    connection_id: recordId,
    expires_at: timestamp,
  })
  .meta({ id: 'CaptureSchema' })

/** `POST /auth/capture-credential`. The values are checked against the profile's own schema. */
export const captureCredentialBody = z.strictObject({
  state: stateToken,
  credentials: z.record(z.string().max(64), z.unknown()),
})

export const credentialCaptured = z
  .object({
    status: z.enum(['success', 'completion_required']),
    connection_id: recordId,
    provider: z.string(),
    return_url: z.string().nullable().describe('Where the person goes next'),
  })
  .meta({ id: 'CredentialCaptured' })

const completionCode = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be the completion_code of the return URL')

/** `POST /connections/:id/complete` on the Broker. */
export const completeConnectionBody = z.strictObject({
  completion_code: completionCode,
  workspace_id: line(256).describe('Who came back, as the app knows them'),
})

/** `POST /v1/complete-connection` on the Gateway. */
export const completeAgentConnectionBody = z.strictObject({
  connection_id: recordId,
  completion_code: completionCode,
  user_id: line(256).describe('Who came back, as the app knows them: from its own session, never from the URL'),
})

export const connectionCompleted = z
  .object({ connection_id: recordId, status: z.literal('active'), provider: z.string() })
  .meta({ id: 'ConnectionCompleted' })

export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')

export type ConsentSpec = z.infer<typeof consentSpecBody>
export type ConnectionRequest = z.infer<typeof requestConnectionBody>
export type ReconnectRequest = z.infer<typeof reconnectBody>
export type ConnectionRequested = z.infer<typeof connectionRequested>
export type CaptureSchema = z.infer<typeof captureSchema>
export type CaptureCredential = z.infer<typeof captureCredentialBody>
export type CredentialCaptured = z.infer<typeof credentialCaptured>
export type CompleteAgentConnection = z.infer<typeof completeAgentConnectionBody>
export type CompleteConnection = z.infer<typeof completeConnectionBody>
export type ConnectionCompleted = z.infer<typeof connectionCompleted>
