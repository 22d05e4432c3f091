import type { CredentialValue } from '@nexus/contracts'
import type { SchemaProperty } from './schema-rules.ts'

/** One thing that a person is asked for, as a form draws it. */
export type CredentialField = {
  readonly name: string
  readonly type: 'string' | 'number' | 'integer' | 'boolean'
  readonly label: string
  readonly help: string | undefined
  readonly isRequired: boolean
  /** Required, and empty is an answer (`minLength: 0`): a basic-auth key without a password. */
  readonly mayBeEmpty: boolean
  /** Never shown in the clear. */
  readonly isSecret: boolean
  /** Of a choice. */
  readonly options: readonly { readonly value: string | number; readonly label: string }[] | undefined
  readonly placeholder: string | undefined
  readonly initial: CredentialValue | undefined
  readonly minLength: number | undefined
  readonly maxLength: number | undefined
  readonly minimum: number | undefined
  readonly maximum: number | undefined
}

type FieldUse = { readonly isRequired: boolean; readonly isUsedAsSecret: boolean }

export function toCredentialField(
  name: string,
  property: SchemaProperty,
  { isRequired, isUsedAsSecret }: FieldUse,
): CredentialField {
  const { title, description, examples } = property
  return {
    name,
    type: toType(property['type']),
    label: typeof title === 'string' ? title : name,
    help: typeof description === 'string' ? description : undefined,
    isRequired,
    mayBeEmpty: isRequired && property['type'] === 'string' && property['minLength'] === 0,
    isSecret: isSecret(property, isUsedAsSecret),
    options: toOptions(property),
    placeholder: Array.isArray(examples) && isScalar(examples[0]) ? String(examples[0]) : undefined,
    initial: isScalar(property['default']) ? property['default'] : undefined,
    minLength: toNumber(property['minLength']),
    maxLength: toNumber(property['maxLength']),
    minimum: toNumber(property['minimum']),
    maximum: toNumber(property['maximum']),
  }
}

/** What the strategy uses as its secret is one, unless the schema says in so many words that it is not. */
function isSecret(property: SchemaProperty, isUsedAsSecret: boolean): boolean {
  if (property['format'] === 'password' || property['writeOnly'] === true) return true
  return isUsedAsSecret && property['type'] === 'string' && property['writeOnly'] !== false
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

function toOptions(property: SchemaProperty): CredentialField['options'] {
  const { enum: values, oneOf } = property
  if (Array.isArray(values)) return values.filter(isChoice).map((value) => ({ value, label: String(value) }))
  if (!Array.isArray(oneOf)) return undefined
  return oneOf.flatMap(({ const: value, title }: SchemaProperty) =>
    isChoice(value) ? [{ value, label: typeof title === 'string' ? title : String(value) }] : [],
  )
}

function isChoice(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}
