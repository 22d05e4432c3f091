import type { CredentialStrategy } from '@nexus/contracts'
import { type ErrorObject, Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { createBoundedMap } from '../oauth/bounded-map.ts'
import { type CredentialField, toCredentialField } from './credential-field.ts'
import { linearRegExp, longestValue } from './credential-pattern.ts'
import type { CredentialSchema, StaticProvider } from './provider.ts'
import { type CredentialSchemaFault, findSchemaFault, propertiesOf } from './schema-rules.ts'
import { secretFieldsOf } from './static-strategy.ts'

export type { CredentialField } from './credential-field.ts'
export type { CredentialSchemaFault } from './schema-rules.ts'

export type CompiledCredentialSchema = {
  /** In the order of the document. */
  readonly fields: readonly CredentialField[]
  /** @returns what is wrong, in the order of the fields; empty for values that fit. No fault repeats a value. */
  readonly check: (values: Readonly<Record<string, unknown>>) => readonly CredentialFault[]
}

/** `field` is undefined where the whole does not fit. `rule` is the keyword of JSON Schema, or one of ours. */
export type CredentialFault = { readonly field: string | undefined; readonly rule: string; readonly limit?: number }

export type CompileOutcome =
  | { readonly kind: 'compiled'; readonly schema: CompiledCredentialSchema }
  | { readonly kind: 'refused'; readonly fault: CredentialSchemaFault }

const keptSchemas = 200

/** Of one form: far more than all its fields can have. The rest is of names that it does not have, as many as fit into a body. */
export const mostFaults = 200

const compiled = createBoundedMap<CompiledCredentialSchema>(keptSchemas)

const ajvOptions = {
  strict: true,
  allErrors: true,
  ownProperties: true,
  formats: { password: true },
  logger: false,
  code: { regExp: linearRegExp },
} as const

/**
 * Compiles the schema of a stored profile, once for as long as it is asked for.
 * @throws Error where it is not valid: it was compiled when it was saved
 */
export function compileSchemaOf({
  name,
  credentialSchema,
  strategy,
}: Pick<StaticProvider, 'name' | 'credentialSchema' | 'strategy'>): CompiledCredentialSchema {
  const key = JSON.stringify([credentialSchema, strategy])
  const known = compiled.get(key)
  if (known !== undefined) return known
  const outcome = compileCredentialSchema(credentialSchema, strategy)
  if (outcome.kind === 'refused') throw new Error(`the credential schema of ${name} is not valid any more`)
  compiled.set(key, outcome.schema)
  return outcome.schema
}

/**
 * Reads a credential schema: JSON Schema 2020-12 of an object whose properties are scalars, since a person fills it in,
 * line by line.
 */
export function compileCredentialSchema(document: CredentialSchema, strategy: CredentialStrategy): CompileOutcome {
  const shapeFault = findSchemaFault(document)
  if (shapeFault !== undefined) return { kind: 'refused', fault: shapeFault }
  // an instance of its own: one for all would keep every schema that was ever compiled
  const ajv = new Ajv2020(ajvOptions)
  const invalid = ajv.validateSchema(document) === true ? undefined : ajv.errors?.[0]
  if (invalid !== undefined && invalid !== null) return { kind: 'refused', fault: toSchemaFault(invalid) }
  let validate: ValidateFunction
  try {
    validate = ajv.compile({ ...document, additionalProperties: false })
  } catch (error) {
    return { kind: 'refused', fault: { place: '', problem: error instanceof Error ? error.message : 'is not valid' } }
  }
  const required = new Set(Array.isArray(document['required']) ? document['required'] : [])
  const secret = new Set(secretFieldsOf(strategy))
  const properties = propertiesOf(document)
  const fields = Object.entries(properties).map(([name, property]) =>
    toCredentialField(name, property, { isRequired: required.has(name), isUsedAsSecret: secret.has(name) }),
  )
  const fault = fields.map((field) => findMisfit(validate, field)).find((one) => one !== undefined)
  if (fault !== undefined) return { kind: 'refused', fault }
  return { kind: 'compiled', schema: { fields, check: (values) => checkValues(validate, fields, values) } }
}

/** Of JSON Schema's own rules for schemas. */
function toSchemaFault({ instancePath, message }: ErrorObject): CredentialSchemaFault {
  return { place: instancePath.replaceAll('/', '.'), problem: message ?? 'is not valid' }
}

/** What its own schema would refuse: nobody could fill it in; and what a form would show of a secret. */
function findMisfit(validate: ValidateFunction, field: CredentialField): CredentialSchemaFault | undefined {
  const place = `.properties.${field.name}`
  if (field.isSecret && field.initial !== undefined) {
    return { place: `${place}.default`, problem: 'is not for a secret: everybody would see it' }
  }
  if (field.initial !== undefined && !fits(validate, field, field.initial)) {
    return { place: `${place}.default`, problem: 'does not fit its own field' }
  }
  const choice = field.options?.findIndex(({ value }) => !fits(validate, field, value)) ?? -1
  if (choice >= 0) return { place, problem: `does not accept its choice number ${choice + 1}` }
  return field.isSecret && field.options !== undefined
    ? { place, problem: 'is a secret, and everybody would see its choices' }
    : undefined
}

function fits(validate: ValidateFunction, field: CredentialField, value: unknown): boolean {
  // no pattern sees what is too long for its field
  if (findTextFault([field], field.name, value).length > 0) return false
  const { name } = field
  validate({ [name]: value })
  return !(validate.errors ?? []).some(({ instancePath }) => instancePath === `/${name}`)
}

function checkValues(
  validate: ValidateFunction,
  fields: readonly CredentialField[],
  values: Readonly<Record<string, unknown>>,
): readonly CredentialFault[] {
  const before = Object.entries(values).flatMap(([field, value]) => findTextFault(fields, field, value))
  // what is too long is not looked at any further
  const errors = before.some(({ rule }) => rule === 'maxLength') || validate(values) ? [] : (validate.errors ?? [])
  // of each choice that it is not; `oneOf` says so of all
  const faults = errors.filter(({ keyword }) => keyword !== 'const')
  const all = [...before, ...faults.map(toFault)].slice(0, mostFaults).filter(isFirstOfItsKind)
  const order = (fault: CredentialFault) => fields.findIndex(({ name }) => name === fault.field)
  return all.toSorted((a, b) => order(a) - order(b))
}

function findTextFault(fields: readonly CredentialField[], field: string, value: unknown): readonly CredentialFault[] {
  if (typeof value !== 'string') return []
  const limit = Math.min(fields.find(({ name }) => name === field)?.maxLength ?? longestValue, longestValue)
  // by its own limit, which counts characters: what patterns may cost is reckoned with it
  if (value.length > longestValue || Array.from(value).length > limit) return [{ field, rule: 'maxLength', limit }]
  return /\p{Cc}/u.test(value) || !value.isWellFormed() ? [{ field, rule: 'single_line' }] : []
}

function isFirstOfItsKind(fault: CredentialFault, index: number, all: readonly CredentialFault[]): boolean {
  return all.findIndex(({ field, rule }) => field === fault.field && rule === fault.rule) === index
}

function toFault({ instancePath, keyword, params }: ErrorObject): CredentialFault {
  const named: unknown = params['missingProperty'] ?? params['additionalProperty']
  const field = typeof named === 'string' ? named : instancePath.slice(1).split('/', 1)[0] || undefined
  const limit: unknown = params['limit']
  return { field, rule: keyword, ...(typeof limit === 'number' && { limit }) }
}
