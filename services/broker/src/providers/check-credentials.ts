import type { CredentialStrategy, CredentialValue } from '@nexus/contracts'
import { type CredentialFault, compileSchemaOf } from './credential-schema.ts'
import type { StaticProvider } from './provider.ts'

export type CheckedCredentials =
  | { readonly kind: 'valid'; readonly credentials: Readonly<Record<string, CredentialValue>> }
  | { readonly kind: 'faulty'; readonly faults: readonly CredentialFault[] }

/**
 * Checks what was typed in against the profile's schema, and whether its strategy can use it: what the schema does not name
 * is a fault too. Blanks around a text are not part of it, but in a password: they come along when a key is copied.
 */
export function checkCredentials(
  provider: StaticProvider,
  typed: Readonly<Record<string, unknown>>,
  strayFields: readonly CredentialFault[] = [],
): CheckedCredentials {
  const { fields, check } = compileSchemaOf(provider)
  const password = passwordFieldOf(provider.strategy)
  const asWritten = new Set([
    password,
    ...fields.filter(({ options }) => options !== undefined).map(({ name }) => name),
  ])
  const entries = Object.entries(typed).map(
    ([name, value]) => [name, asWritten.has(name) ? value : withoutBlanks(value)] as const,
  )
  // a field left empty is a field left out, as on the page
  const emptied = new Set(fields.filter(({ mayBeEmpty }) => mayBeEmpty).map(({ name }) => name))
  const credentials = Object.fromEntries(entries.filter(([name, value]) => value !== '' || emptied.has(name)))
  const misfits = [...check(credentials), ...strayFields]
  const faults = misfits.length > 0 ? misfits : findUselessValues(provider.strategy, credentials)
  if (faults.length > 0) return { kind: 'faulty', faults }
  const known = new Set(fields.map(({ name }) => name))
  return {
    kind: 'valid',
    credentials: Object.fromEntries(
      Object.entries(credentials)
        .filter(isCredential)
        .filter(([name]) => known.has(name)),
    ),
  }
}

/** A line break is no blank: it says that more was copied than one value. */
function withoutBlanks(value: unknown): unknown {
  return typeof value === 'string' && !/[\r\n]/.test(value) ? value.trim() : value
}

/** The one field in which a blank at the end may be meant. */
export function passwordFieldOf({ type, config }: CredentialStrategy): string | undefined {
  return type === 'basic_auth' ? config['password_field'] : undefined
}

/** Values that fit the schema and could not be sent. */
function findUselessValues(
  { type, config }: CredentialStrategy,
  credentials: Readonly<Record<string, unknown>>,
): readonly CredentialFault[] {
  const sentAsHeader =
    type === 'header' ? [config['credential_field']] : type === 'aws_sigv4' ? ['access_key', 'session_token'] : []
  const unsendable = sentAsHeader
    .filter((field): field is string => field !== undefined && !isSendable(credentials[field]))
    .map((field) => ({ field, rule: 'header_value' }))
  const username = type === 'basic_auth' ? config['username_field'] : undefined
  // RFC 7617 §2: the first colon ends the user name
  const hasColon = username !== undefined && textOf(credentials[username]).includes(':')
  return hasColon ? [...unsendable, { field: username, rule: 'username_colon' }] : unsendable
}

/** RFC 9110 §5.5: visible ASCII and blanks; what lies beyond means something else to each server. */
function isSendable(value: unknown): boolean {
  return value === undefined || /^[\x20-\x7e]*$/.test(textOf(value))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function isCredential(entry: [string, unknown]): entry is [string, CredentialValue] {
  return ['string', 'number', 'boolean'].includes(typeof entry[1])
}
