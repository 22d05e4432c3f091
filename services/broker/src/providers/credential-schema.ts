import { type ErrorObject, Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { CredentialValue } from '@nexus/contracts'
import type { CredentialSchema } from './provider.ts'

/** One thing that a person is asked for, as a form draws it. */
export type CredentialField = {
  readonly name: string
  readonly type: 'string' | 'number' | 'integer' | 'boolean'
  readonly label: string
  readonly help: string | undefined
  readonly isRequired: boolean
  /** Never shown in the clear. */
  readonly isSecret: boolean
  /** Of a choice. */
  readonly options: readonly { readonly value: string | number; readonly label: string }[] | undefined
  readonly placeholder: string | undefined
  readonly initial: CredentialValue | undefined
  readonly minLength: number | undefined
  readonly maxLength: number | undefined
  readonly pattern: string | undefined
  readonly minimum: number | undefined
  readonly maximum: number | undefined
}

export type CompiledCredentialSchema = {
  readonly fields: readonly CredentialField[]
  /** @returns what is wrong, in the order of the fields; empty for values that fit. No fault repeats a value. */
  readonly check: (values: Readonly<Record<string, unknown>>) => readonly CredentialFault[]
}

/** `field` is undefined where the whole does not fit. `rule` is the keyword of JSON Schema, or one of ours. */
export type CredentialFault = { readonly field: string | undefined; readonly rule: string; readonly limit?: number }

export type CredentialSchemaFault = {
  /** JSON-pointer-like: `.properties.api_key` */
  readonly place: string
  readonly problem: string
}

export type CompileOutcome =
  | { readonly kind: 'compiled'; readonly schema: CompiledCredentialSchema }
  | { readonly kind: 'refused'; readonly fault: CredentialSchemaFault }

const fieldName = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const reservedNames = new Set(['__proto__', 'constructor', 'prototype', 'state', 'refresh_token', 'client_secret'])
const fieldTypes = new Set(['string', 'number', 'integer', 'boolean'])

// one per call would keep every schema that was ever compiled
const newAjv = () => new Ajv2020({ strict: true, allErrors: true, formats: { password: true }, logger: false })

/**
 * Reads a credential schema: an object whose properties are scalars, since a person fills it in, line by line.
 * Whatever else JSON Schema 2020-12 knows may restrict them.
 */
export function compileCredentialSchema(document: CredentialSchema): CompileOutcome {
  const fault = findShapeFault(document)
  if (fault !== undefined) return { kind: 'refused', fault }
  let validate: ValidateFunction
  try {
    validate = newAjv().compile({ ...document, unevaluatedProperties: false })
  } catch (error) {
    return { kind: 'refused', fault: { place: '', problem: error instanceof Error ? error.message : 'is not valid' } }
  }
  const properties = propertiesOf(document)
  const required = new Set(Array.isArray(document['required']) ? document['required'] : [])
  const fields = Object.entries(properties).map(([name, property]) => toField(name, property, required.has(name)))
  return { kind: 'compiled', schema: { fields, check: (values) => checkValues(validate, fields, values) } }
}

type Property = Readonly<Record<string, unknown>>

function propertiesOf(document: CredentialSchema): Readonly<Record<string, Property>> {
  const { properties } = document
  return isObject(properties) ? Object.fromEntries(Object.entries(properties).filter(isProperty)) : {}
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isProperty(entry: [string, unknown]): entry is [string, Property] {
  return isObject(entry[1])
}

function findShapeFault(document: CredentialSchema): CredentialSchemaFault | undefined {
  if (document['type'] !== 'object') return { place: '.type', problem: 'must be object' }
  if (!isObject(document['properties']) || Object.keys(document['properties']).length === 0) {
    return { place: '.properties', problem: 'must name at least one field' }
  }
  for (const [name, property] of Object.entries(document['properties'])) {
    const place = `.properties.${name}`
    if (!fieldName.test(name)) return { place, problem: 'must be a letter, then letters, digits, _ and -' }
    if (reservedNames.has(name)) return { place, problem: 'is a reserved name' }
    if (!isObject(property) || !fieldTypes.has(String(property['type']))) {
      return { place, problem: 'must be of type string, number, integer or boolean' }
    }
    if (property['$ref'] !== undefined) return { place, problem: 'must stand here in full, without $ref' }
  }
  return undefined
}

function toField(name: string, property: Property, isRequired: boolean): CredentialField {
  const { title, description, examples } = property
  return {
    name,
    type: toType(property['type']),
    label: typeof title === 'string' ? title : name,
    help: typeof description === 'string' ? description : undefined,
    isRequired,
    isSecret: property['format'] === 'password' || property['writeOnly'] === true,
    options: toOptions(property),
    placeholder: Array.isArray(examples) && isScalar(examples[0]) ? String(examples[0]) : undefined,
    initial: isScalar(property['default']) ? property['default'] : undefined,
    minLength: toNumber(property['minLength']),
    maxLength: toNumber(property['maxLength']),
    pattern: typeof property['pattern'] === 'string' ? property['pattern'] : undefined,
    minimum: toNumber(property['minimum']),
    maximum: toNumber(property['maximum']),
  }
}

function toType(type: unknown): CredentialField['type'] {
  return type === 'number' || type === 'integer' || type === 'boolean' ? type : 'string'
}

function toNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function isScalar(value: unknown): value is CredentialValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function toOptions(property: Property): CredentialField['options'] {
  const { enum: values, oneOf } = property
  if (Array.isArray(values)) return values.filter(isChoice).map((value) => ({ value, label: String(value) }))
  if (!Array.isArray(oneOf)) return undefined
  return oneOf.filter(isObject).flatMap(({ const: value, title }) => {
    return isChoice(value) ? [{ value, label: typeof title === 'string' ? title : String(value) }] : []
  })
}

function isChoice(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function checkValues(
  validate: ValidateFunction,
  fields: readonly CredentialField[],
  values: Readonly<Record<string, unknown>>,
): readonly CredentialFault[] {
  const controls = Object.entries(values)
    .filter(([, value]) => typeof value === 'string' && /[\r\n\0]/.test(value))
    .map(([field]) => ({ field, rule: 'single_line' }))
  if (validate(values)) return controls
  const order = (fault: CredentialFault) => fields.findIndex(({ name }) => name === fault.field)
  return [...controls, ...(validate.errors ?? []).map(toFault)].toSorted((a, b) => order(a) - order(b))
}

function toFault({ instancePath, keyword, params }: ErrorObject): CredentialFault {
  const named: unknown = params['missingProperty'] ?? params['unevaluatedProperty']
  const field = typeof named === 'string' ? named : instancePath.slice(1) || undefined
  const limit: unknown = params['limit']
  return { field, rule: keyword, ...(typeof limit === 'number' && { limit }) }
}
