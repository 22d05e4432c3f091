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

const request = {
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

/** `POST /auth/consent-spec` on the Broker. */
export const consentSpecBody = z
  .strictObject({ workspace_id: line(256).describe('Whose account this is'), ...request })
  .refine(onlyOneProvider, oneProvider)

/** `POST /v1/request-connection` on the Gateway. */
export const requestConnectionBody = z
  .strictObject({ user_id: line(256).describe('Whose account this is'), ...request })
  .refine(onlyOneProvider, oneProvider)

/** `POST /connections/:id/reconnect` on the Broker, `POST /v1/reconnect/:id` on the Gateway. */
export const reconnectBody = z.strictObject({
  scopes: scopeList.optional().describe("A subset of the profile's scopes; none means those the connection has"),
  return_url: returnUrl.optional(),
  metadata: connectionMetadata.optional().describe("Takes the place of the connection's, once it is reconnected"),
  allow_account_change: z.boolean().optional().describe('Whether the person may come back with another account'),
})

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

export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')

export type ConsentSpec = z.infer<typeof consentSpecBody>
export type ConnectionRequest = z.infer<typeof requestConnectionBody>
export type ReconnectRequest = z.infer<typeof reconnectBody>
export type ConnectionRequested = z.infer<typeof connectionRequested>
