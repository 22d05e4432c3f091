import { invalidField } from '@nexus/service'
import { z } from 'zod'

/** The last row of a page in the order (time, id); the time is the database's text, to the microsecond. */
export type Position = { readonly position: string; readonly id: string }

/** Which listing a cursor belongs to: one of another would point at a place that means nothing there. */
export type Listing = 'connections' | 'audit' | 'agent_tokens'

const position = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/)
  // PostgreSQL knows no year 0 and no 31st of February, and a cursor may be forged
  .refine((text) => !text.startsWith('0000') && isMoment(text))
const cursorContent = z.tuple([z.enum(['connections', 'audit', 'agent_tokens']), position, z.uuid()])

function isMoment(text: string): boolean {
  const written = text.slice(0, 19).replace(' ', 'T')
  const at = new Date(`${written}Z`)
  // what JavaScript rolls over (31 February → 3 March) does not come back as it was written
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(written)
}

export function encodeCursor(listing: Listing, { position: at, id }: Position): string {
  return Buffer.from(JSON.stringify([listing, at, id])).toString('base64url')
}

/** @throws AppError `invalid_request` for anything but a cursor that this listing gave */
export function decodeCursor(listing: Listing, cursor: string | undefined): Position | undefined {
  if (cursor === undefined) return undefined
  const content = cursorContent.safeParse(parse(Buffer.from(cursor, 'base64url').toString()))
  if (!content.success || content.data[0] !== listing) {
    throw invalidField('cursor', 'is not one that this listing gave')
  }
  const [, at, id] = content.data
  return { position: at, id }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Cuts the one row too many that was read to see whether there is a next page. */
export function toPage<Row>(
  listing: Listing,
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => Position,
): { readonly page: readonly Row[]; readonly nextCursor: string | null } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const isLastPage = rows.length <= limit || last === undefined
  return { page, nextCursor: isLastPage ? null : encodeCursor(listing, positionOf(last)) }
}
