import { z } from 'zod'

// C0 controls and DEL have no place in a name or an address; NUL would also be refused by PostgreSQL
const withoutControls = /^[^\u0000-\u001f\u007f]*$/

/** A single-line text of 1 to `max` UTF-16 units, without control characters. */
export const line = (max: number) =>
  z.string().min(1).max(max).regex(withoutControls, 'must not contain control characters')

/** UUID of a record; Nexus makes version 7 (RFC 9562 §5.7) and accepts any. */
export const recordId = z.uuid().toLowerCase().describe('UUID')

/** RFC 3339 in UTC, milliseconds. */
export const timestamp = z.iso.datetime().describe('RFC 3339, UTC')

export const providerName = z
  .string()
  .regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 of a-z, 0-9 and -')
  .describe('Name of a provider profile')

export const zoneName = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 of a-z, 0-9 and -')

/** One scope token: RFC 6749 §3.3 (visible ASCII without `"` and `\`). */
export const scopeToken = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be a scope token (RFC 6749 §3.3)')

export const scopeList = z.array(scopeToken).max(200)

/** The `jti`-bearing, HMAC-signed state: two base64url parts joined by a dot. */
export const stateToken = z.string().min(1).max(2048)

/** Query of a listing: `limit` 1…200 (50), `cursor` as the previous page gave it. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(512).optional(),
}

export const nextCursor = z.string().nullable().describe('Pass as `cursor` for the next page; null on the last one')

/** An empty query: every parameter is unknown and refused. */
export const noQuery = z.strictObject({})
