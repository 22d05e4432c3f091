import { isErrorCode } from '@nexus/contracts'
import { serializeError } from './serialize-error.ts'
import { redacted } from './scrub-text.ts'

const secretNames: ReadonlySet<string> = new Set([
  'apikey',
  'assertion',
  'authorization',
  'authurl',
  'clientassertion',
  'clientsecret',
  'code',
  'codeverifier',
  'cookie',
  'credential',
  'credentials',
  'encryptionkey',
  'idtoken',
  'jti',
  'nonce',
  'password',
  'passwd',
  'privatekey',
  'proxyauthorization',
  'refreshtoken',
  'secret',
  'secretkey',
  'sessiontoken',
  'setcookie',
  'state',
  'statekey',
  'ticket',
  'token',
  'accesstoken',
  'verifier',
  'xapikey',
  'xnexusapikey',
])

const deepest = 6
const longestList = 50

/**
 * A copy of what is about to be logged in which every field named like a secret is blanked at any depth, whatever its
 * spelling (`access_token`, `accessToken`, `Access-Token`). Errors shrink to `serializeError`, bytes to their number,
 * and objects that are more than data (sockets, requests, clients) to their class.
 */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return copyFields(fields, 0)
  } catch (error) {
    // a getter or a toJSON of somebody else's threw; to log must never fail what is logged
    return { unloggable: serializeError(error) }
  }
}

/** The same for one value that has no name to judge by. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return serializeError(value)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (depth >= deepest) return '[deeper]'
  if (Array.isArray(value)) return value.slice(0, longestList).map((item) => redactValue(item, depth + 1))
  if ('toJSON' in value && typeof value.toJSON === 'function') return redactValue(value.toJSON(), depth + 1)
  return isPlain(value) ? copyFields(value, depth) : `[${className(value)}]`
}

/**
 * Whether a field of this name is blanked. `code` is OAuth's authorization code, but also what our errors call their
 * kind: the closed list of those may stand.
 */
export function isSecretField(name: string, value: unknown): boolean {
  if (value === undefined || !secretNames.has(name.replaceAll(/[-_\s]/g, '').toLowerCase())) return false
  return !(name === 'code' && typeof value === 'string' && isErrorCode(value))
}

function copyFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      isSecretField(name, value) ? redacted : redactValue(value, depth + 1),
    ]),
  )
}

function className(value: object): string {
  const { constructor } = value
  return typeof constructor === 'function' ? constructor.name : 'object'
}

/** Whether a value is nothing but data: an object literal, not an instance of a class. */
export function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
