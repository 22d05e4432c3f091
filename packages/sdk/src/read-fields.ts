import { NexusError } from './errors.ts'

type Fields = Readonly<Record<string, unknown>>

/** A credential that cannot be applied. The message is ours and the field's name is the profile's: neither is secret. */
export function refuse(why: string, field: string): NexusError {
  return new NexusError('strategy_not_applicable', `${field}: ${why}`, { details: { field } })
}

/**
 * A credential is a text, a number or a truth value; the profile's schema allows no more.
 *
 * @throws NexusError if it is missing, empty or of another kind
 */
export function requireField(fields: Fields, name: string): string {
  const value = optionalText(fields, name)
  if (value === undefined || value === '') throw refuse('is missing', name)
  return value
}

export function optionalText(fields: Fields, name: string): string | undefined {
  // a profile chooses the names, and `constructor` is one that every object has
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return String(value)
  throw refuse('must be a text or a number', name)
}

export function textOr(config: Fields, name: string, otherwise: string): string {
  const value = optionalText(config, name)
  return value === undefined || value === '' ? otherwise : value
}

/** One of `choices`; none given: the first. */
export function oneOf<Choice extends string>(
  config: Fields,
  name: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  const value = optionalText(config, name)
  const choice = value === undefined ? choices[0] : choices.find((candidate) => candidate === value)
  if (choice === undefined) throw refuse(`must be one of ${choices.join(', ')}`, name)
  return choice
}

// they say where a message ends and whom it is for: not for a credential to decide
const framing =
  /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-(authenticate|authorization|connection))$/i

/** RFC 9110 §5.1 */
export function assertHeaderName(name: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name) || framing.test(name)) {
    throw refuse('is not a header that can carry a credential', 'header_name')
  }
}

/** Before `Headers` sees it, whose own error quotes the value. Beyond ASCII it is anyone's guess what arrives. */
export function assertHeaderValue(value: string, field: string): void {
  if (!/^[\t\x20-\x7e]*$/.test(value)) throw refuse('has characters that a header cannot carry', field)
}
