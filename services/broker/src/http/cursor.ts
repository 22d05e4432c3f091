import { AppError } from '@nexus/service'
import { z } from 'zod'

/** The last row of a page in the order (time, id); the time is the database's text, to the microsecond. */
export type Position = { readonly position: string; readonly id: string }

const cursorContent = z.tuple([z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/), z.uuid()])

export function encodeCursor({ position, id }: Position): string {
  return Buffer.from(JSON.stringify([position, id])).toString('base64url')
}

/** @throws AppError `invalid_request` for anything but a cursor that a listing gave */
export function decodeCursor(cursor: string | undefined): Position | undefined {
  if (cursor === undefined) return undefined
  const content = cursorContent.safeParse(parse(Buffer.from(cursor, 'base64url').toString()))
  if (!content.success) {
    throw new AppError('invalid_request', 'cursor: is not one that a listing gave', {
      details: { fields: [{ field: 'cursor', problem: 'is not one that a listing gave' }] },
    })
  }
  const [position, id] = content.data
  return { position, id }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Cuts the one row too many that was read to see whether there is a next page. */
export function toPage<Row>(rows: readonly Row[], limit: number, positionOf: (row: Row) => Position) {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(positionOf(last)) : null }
}
