import { isDeepStrictEqual } from 'node:util'

/**
 * `+` something that was not there, `~` another value, `-` something taken away (back to its default), `!` what people who
 * are connected, or who run the provider's side, will notice.
 */
export type Sign = '+' | '~' | '-' | '!'

export type FieldChange = {
  readonly sign: Sign
  /** With dots: `params.prompt`. */
  readonly field: string
  readonly before?: unknown
  readonly after?: unknown
}

type Fields = Readonly<Record<string, unknown>>

/** What follows from a change, or has nothing to do with what somebody wrote. */
const derived: ReadonlySet<string> = new Set([
  'id',
  'alarm',
  'revision',
  'created_at',
  'updated_at',
  'has_client_secret',
])

/** Grants belong to the client they were given to, and the provider knows the redirect URI. */
const destructive: ReadonlySet<string> = new Set(['client_id', 'redirect_uri'])

const hidden = '(secret)'
const secretNames = /^(?:client_secret|secret|password|api_key|private_key|access_token|refresh_token)$/

/** What differs between two profiles, both with their defaults filled in; in the order of their fields. */
export function compareProfiles(before: Fields, after: Fields): readonly FieldChange[] {
  const [old, wanted] = [flatten(before), flatten(after)]
  const names = [...new Set([...wanted.keys(), ...old.keys()])]
  return names.flatMap((field) => {
    const change = { before: old.get(field), after: wanted.get(field) }
    return isDeepStrictEqual(change.before, change.after) ? [] : [{ sign: signOf(field, change), field, ...change }]
  })
}

/** Every field that is there, as something new. */
export function listFields(profile: Fields): readonly FieldChange[] {
  return [...flatten(profile)].map(([field, after]) => ({ sign: '+', field, after }))
}

function signOf(field: string, { before, after }: { readonly before: unknown; readonly after: unknown }): Sign {
  if (before === undefined) return '+'
  if (destructive.has(field)) return '!'
  return after === undefined ? '-' : '~'
}

/** Values by their path. What is empty counts as not there; what is named like a secret is not shown. */
function flatten(fields: Fields, path = ''): Map<string, unknown> {
  const flat = new Map<string, unknown>()
  for (const [name, value] of Object.entries(fields)) {
    if (path === '' && derived.has(name)) continue
    const field = `${path}${name}`
    if (isRecord(value)) for (const entry of flatten(value, `${field}.`)) flat.set(...entry)
    else if (secretNames.test(name) && typeof value === 'string') flat.set(field, hidden)
    else if (!isEmpty(value)) flat.set(field, value)
  }
  return flat
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0)
}
