import { isSecretName } from '../oauth/kept-fields.ts'
import { findCostlyPattern, findPatternFault, longestValue } from './credential-pattern.ts'
import type { CredentialSchema } from './provider.ts'

/** What a credential schema may say (docs/providers.md): what a form can draw, and nothing that could not be filled in. */

export type SchemaProperty = Readonly<Record<string, unknown>>

export type CredentialSchemaFault = {
  /** `.properties.api_key` */
  readonly place: string
  readonly problem: string
}

const schemaKeywords = new Set([
  '$schema',
  '$comment',
  'title',
  'description',
  'type',
  'properties',
  'required',
  'additionalProperties',
])
const propertyKeywords = new Set([
  '$comment',
  'title',
  'description',
  'type',
  'format',
  'writeOnly',
  'default',
  'examples',
  'enum',
  'oneOf',
  'minLength',
  'maxLength',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
])
const fieldName = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const reservedNames = new Set(['prototype', 'state'])
const fieldTypes = new Set(['string', 'number', 'integer', 'boolean'])
const mostFields = 30
const mostChoices = 200
const textLimits = { title: 200, description: 1000, $comment: 1000 } as const
const longestDocument = 32_768
const dialect = 'https://json-schema.org/draft/2020-12/schema'
const ofTexts = ['format', 'writeOnly', 'minLength', 'maxLength', 'pattern']
const ofNumbers = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']

export function propertiesOf(document: CredentialSchema): Readonly<Record<string, SchemaProperty>> {
  const { properties } = document
  return isObject(properties) ? Object.fromEntries(Object.entries(properties).filter(isProperty)) : {}
}

/** The first thing by which a document is no credential schema; what is left is for JSON Schema itself to judge. */
export function findSchemaFault(document: CredentialSchema): CredentialSchemaFault | undefined {
  if (JSON.stringify(document).length > longestDocument) return { place: '', problem: 'is longer than 32 KiB' }
  const unknown = Object.keys(document).find((keyword) => !schemaKeywords.has(keyword))
  if (unknown !== undefined) return { place: `.${unknown}`, problem: notUsed }
  if ((document['$schema'] ?? dialect) !== dialect) {
    return { place: '.$schema', problem: `can only be ${dialect}` }
  }
  if (document['type'] !== 'object') return { place: '.type', problem: 'must be object' }
  if ((document['additionalProperties'] ?? false) !== false) {
    return { place: '.additionalProperties', problem: 'can only be false: nothing else is asked for' }
  }
  const { properties } = document
  if (!isObject(properties) || Object.keys(properties).length === 0) {
    return { place: '.properties', problem: 'must name at least one field' }
  }
  if (Object.keys(properties).length > mostFields) {
    return { place: '.properties', problem: `must not have more than ${mostFields} fields` }
  }
  const faults = Object.entries(properties).map(([name, property]) => findPropertyFault(name, property))
  return (
    faults.find((fault) => fault !== undefined) ??
    findRequiredFault(document, properties) ??
    findTextFault('', document) ??
    findCostlyPattern(propertiesOf(document))
  )
}

const notUsed = 'is not used here: a form could not show it (docs/providers.md lists what is)'

function findRequiredFault(
  { required = [] }: CredentialSchema,
  properties: SchemaProperty,
): CredentialSchemaFault | undefined {
  if (!Array.isArray(required)) return { place: '.required', problem: 'must be a list of names' }
  const missing: unknown = required.find((name) => typeof name !== 'string' || !Object.hasOwn(properties, name))
  return missing === undefined
    ? undefined
    : { place: '.required', problem: 'names a field that properties does not have' }
}

function findPropertyFault(name: string, property: unknown): CredentialSchemaFault | undefined {
  const place = `.properties.${name}`
  if (!fieldName.test(name)) return { place, problem: 'must be named with a letter, then letters, digits, _ and -' }
  if (reservedNames.has(name) || name in Object.prototype || isMasterSecret(name))
    return { place, problem: 'is a reserved name' }
  // one type: `['string']` is a list too
  if (!isObject(property) || typeof property['type'] !== 'string' || !fieldTypes.has(property['type'])) {
    return { place: `${place}.type`, problem: 'must be string, number, integer or boolean' }
  }
  const unknown = Object.keys(property).find((keyword) => !propertyKeywords.has(keyword))
  if (unknown !== undefined) return { place: `${place}.${unknown}`, problem: notUsed }
  if ((property['format'] ?? 'password') !== 'password')
    return { place: `${place}.format`, problem: 'can only be password' }
  return (
    findStrayKeyword(place, property) ??
    findTextFault(place, property) ??
    findPatternFault(place, property) ??
    findChoiceFault(place, property) ??
    findRangeFault(place, property)
  )
}

/** No payload has a field of such a name, whatever lies in it (V5). */
function isMasterSecret(name: string): boolean {
  return isSecretName(name) && /refresh|client/i.test(name)
}

function findTextFault(place: string, holder: SchemaProperty): CredentialSchemaFault | undefined {
  for (const [keyword, limit] of Object.entries(textLimits)) {
    const text = holder[keyword]
    if (typeof text === 'string' && text.length > limit) {
      return { place: `${place}.${keyword}`, problem: `must have at most ${limit} characters` }
    }
  }
  return undefined
}

/** Dots instead of letters, too, are for texts: a form shows numbers in the clear. */
function findStrayKeyword(place: string, property: SchemaProperty): CredentialSchemaFault | undefined {
  const { type } = property
  const isNumber = type === 'number' || type === 'integer'
  const strays = [...(type === 'string' ? [] : ofTexts), ...(isNumber ? [] : ofNumbers)]
  const stray = strays.find((keyword) => property[keyword] !== undefined && property[keyword] !== false)
  return stray === undefined
    ? undefined
    : { place: `${place}.${stray}`, problem: `is not for a field of type ${String(type)}` }
}

function findChoiceFault(
  place: string,
  { enum: values, oneOf, type }: SchemaProperty,
): CredentialSchemaFault | undefined {
  const choices: unknown = values ?? oneOf
  if (choices === undefined) return undefined
  if (values !== undefined && oneOf !== undefined) return { place, problem: 'has both enum and oneOf' }
  const at = `${place}.${values === undefined ? 'oneOf' : 'enum'}`
  if (type === 'boolean') return { place: at, problem: 'is not for a field that is yes or no' }
  if (!Array.isArray(choices) || choices.length === 0 || choices.length > mostChoices) {
    return { place: at, problem: `must list 1 to ${mostChoices} choices` }
  }
  const isSound = choices.every((choice: unknown) => (values === undefined ? isTitledChoice(choice) : isChoice(choice)))
  return isSound
    ? undefined
    : { place: at, problem: 'must hold texts or numbers, each with a const and a title in oneOf' }
}

function isChoice(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 200)
}

function isTitledChoice(choice: unknown): boolean {
  if (!isObject(choice) || !isChoice(choice['const'])) return false
  const isKnown = Object.keys(choice).every((keyword) => ['const', 'title', '$comment'].includes(keyword))
  return isKnown && findTextFault('', choice) === undefined
}

function findRangeFault(place: string, property: SchemaProperty): CredentialSchemaFault | undefined {
  const long = (['minLength', 'maxLength'] as const).find((keyword) => limitOf(property, keyword, 0) > longestValue)
  if (long !== undefined) return { place: `${place}.${long}`, problem: `can be at most ${longestValue}` }
  if (limitOf(property, 'minLength', 0) > limitOf(property, 'maxLength', longestValue)) {
    return { place: `${place}.minLength`, problem: 'is more than maxLength' }
  }
  return hasNumberInRange(property) ? undefined : { place, problem: 'has limits between which no number lies' }
}

function hasNumberInRange(property: SchemaProperty): boolean {
  const least = limitOf(property, 'minimum', -Infinity)
  const most = limitOf(property, 'maximum', Infinity)
  const above = limitOf(property, 'exclusiveMinimum', -Infinity)
  const below = limitOf(property, 'exclusiveMaximum', Infinity)
  if (property['type'] !== 'integer') return least <= most && above < below && above < most && least < below
  const first = Math.max(Math.ceil(least), Math.floor(above) + 1)
  return first <= Math.min(Math.floor(most), Math.ceil(below) - 1)
}

function limitOf(property: SchemaProperty, keyword: string, otherwise: number): number {
  const limit = property[keyword]
  return typeof limit === 'number' ? limit : otherwise
}

function isObject(value: unknown): value is SchemaProperty {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isProperty(entry: [string, unknown]): entry is [string, SchemaProperty] {
  return isObject(entry[1])
}
