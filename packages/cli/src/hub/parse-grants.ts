import { permissions, zoneName } from '@nexus/contracts'
import { UsageError } from '../errors.ts'

/** A zone, and what a token may do in it. */
export type Grant = { readonly zone: string; readonly permissions: string }

const usual = 'rw'

/** `eng:rw,ops:r, legal`: a zone without permissions has `rw`. @throws UsageError */
export function parseGrants(csv: string): readonly Grant[] {
  const items = csv
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (items.length === 0) throw new UsageError('--zones must name at least one zone')
  return items.map(parseGrant)
}

/** `eng` or `eng:rwx`. @throws UsageError */
export function parseGrant(text: string): Grant {
  const [zone = '', ...rest] = text.split(':').map((part) => part.trim())
  const [given = usual, ...others] = rest
  if (others.length > 0) throw new UsageError(`${JSON.stringify(text)} is no zone: write ZONE or ZONE:PERMISSIONS`)
  if (!zoneName.safeParse(zone).success) {
    throw new UsageError(`${JSON.stringify(zone)} is no name of a zone: 1 to 64 of a-z, 0-9 and -`)
  }
  return { zone, permissions: parsePermissions(given) }
}

/** @throws UsageError */
export function parsePermissions(text: string): string {
  const parsed = permissions.safeParse(text)
  if (parsed.success) return parsed.data
  throw new UsageError(
    `${JSON.stringify(text)} are no permissions: some of r (see and fetch), w (request and disconnect), ` +
      'x (everything in the zone), c (complete)',
  )
}

/** The zones that a pattern means, sorted: `*` any letters, `?` one, `[a-c]` one of these. @throws UsageError */
export function matchZones(pattern: string, zones: readonly string[]): readonly string[] {
  const expression = toExpression(pattern)
  return zones.filter((zone) => expression.test(zone)).toSorted()
}

function toExpression(pattern: string): RegExp {
  try {
    return new RegExp(`^${pattern.replaceAll(/\*+|\[[^\]]*\]|[^]/g, translatePart)}$`)
  } catch {
    throw new UsageError(`${JSON.stringify(pattern)} is no pattern: write * for any letters, ? for one, [a-c] for some`)
  }
}

function translatePart(part: string): string {
  if (part.startsWith('*')) return '.*'
  if (part === '?') return '.'
  if (part.length === 1) return RegExp.escape(part)
  return `[${part
    .slice(1, -1)
    .replace(/^!/, '^')
    .replaceAll(/[\\[]/g, String.raw`\$&`)}]`
}
