import { type AppError, type ZodApp, invalidField } from '@nexus/service'

/**
 * Refuses, before validation, what no schema speaks of: fields sent to a route that takes no body, and text that is no
 * Unicode or holds U+0000, which PostgreSQL can store neither as text nor inside JSON (RFC 8259 §8.2, RFC 7493 §2.1).
 */
export function installBodyRules(app: ZodApp): void {
  app.addHook('preValidation', async ({ body, routeOptions }) => {
    // what public routes carry goes to no database as text: hashes of it do, and what was typed in goes sealed
    if (body === undefined || routeOptions.config.access === undefined) return
    if (routeOptions.schema?.body === undefined) refuseFields(body)
    const field = findUnstorableText(body)
    if (field !== undefined) throw refused(field, 'must be text without NUL and unpaired surrogates')
  })
}

function refuseFields(body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw refused('body', 'none is expected here')
  const [field] = Object.keys(body)
  if (field !== undefined) throw refused(field, 'unknown field')
}

/** The path of the first text that cannot be stored, names of fields included; undefined where there is none. */
export function findUnstorableText(value: unknown, path = ''): string | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : path || 'body'
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, inner] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`
    if (!isStorable(name)) return path || 'body'
    const found = findUnstorableText(inner, at)
    if (found !== undefined) return found
  }
  return undefined
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function refused(field: string, problem: string): AppError {
  return invalidField(field.toWellFormed().slice(0, 200), problem)
}
