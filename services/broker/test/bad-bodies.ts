import { z } from 'zod'

type Fields = Readonly<Record<string, unknown>>

/** A body that must be refused, as text, and the field that the refusal must name. */
export type BadBody = { readonly name: string; readonly field: string; readonly text: string }

/** What zod tells of one field, as far as spoiling it needs. */
type FieldSchema = {
  readonly type?: string | readonly string[]
  readonly maxLength?: number
  readonly maxItems?: number
  readonly anyOf?: readonly FieldSchema[]
}

type BodySchema = {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, BodySchema>>
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly BodySchema[]
}

/** Every way to spoil a valid body that its schema knows: left out, of another type, too large, unknown, twice. */
export function spoilBody(valid: Fields, schema: z.ZodType): readonly BadBody[] {
  const { properties = {}, required = [] } = readSchema(schema)
  const withField = (field: string, value: unknown) => JSON.stringify({ ...valid, [field]: value })
  return [
    ...required.map((field) => ({ name: 'left out', field, text: withField(field, undefined) })),
    ...Object.entries(properties).flatMap(([field, described]) => [
      ...wrongValues(described).map((value) => ({
        name: `is ${JSON.stringify(value).slice(0, 40)}`,
        field,
        text: withField(field, value),
      })),
      ...tooLarge(described).map((value) => ({ name: 'too large', field, text: withField(field, value) })),
    ]),
    { name: 'unknown', field: 'surprise', text: withField('surprise', 1) },
    { name: 'another spelling', field: 'Scopes', text: withField('Scopes', []) },
    ...Object.keys(valid)
      .slice(0, 1)
      .map((field) => ({ name: 'twice', field, text: twice(valid, field) })),
  ]
}

function readSchema(schema: z.ZodType): BodySchema {
  const root: BodySchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as BodySchema
  const resolve = (part: BodySchema): BodySchema => root.$defs?.[part.$ref?.split('/').at(-1) ?? ''] ?? part
  const described = resolve(root)
  // of the forms a union allows, the one whose fields are the body's own
  return described.anyOf?.map(resolve).toSorted((a, b) => count(b) - count(a))[0] ?? described
}

function count({ properties = {} }: BodySchema): number {
  return Object.keys(properties).length
}

const samples: readonly unknown[] = ['text', 5, 1.5, true, null, [], {}, [5], [[]]]

function wrongValues(schema: FieldSchema): readonly unknown[] {
  return samples.filter((value) => !mayBe(schema, value))
}

function mayBe({ anyOf, type }: FieldSchema, value: unknown): boolean {
  if (anyOf !== undefined) return anyOf.some((one) => mayBe(one, value))
  if (type === undefined) return true
  const types = [type].flat()
  if (value === null) return types.includes('null')
  if (Array.isArray(value)) return types.includes('array') && value.length === 0
  return types.includes(typeof value) || (types.includes('integer') && value === 5)
}

function tooLarge(schema: FieldSchema): readonly unknown[] {
  const [only] = schema.anyOf?.filter(({ type }) => type !== 'null') ?? [schema]
  if (only?.type === 'string' && only.maxLength !== undefined) return ['x'.repeat(only.maxLength + 1)]
  if (only?.type === 'array' && only.maxItems !== undefined) {
    return [Array.from({ length: only.maxItems + 1 }, (_, n) => `x${n}`)]
  }
  return []
}

function twice(valid: Fields, field: string): string {
  return JSON.stringify(valid).replace('{', `{${JSON.stringify(field)}:"first",`)
}

/** Documents that no route takes, whatever its schema: with a part of the message that must come back. */
export const brokenDocuments: readonly (readonly [name: string, text: string | Buffer, message: RegExp])[] = [
  ['nothing', '', /empty/],
  ['no JSON', '{"a":', /not valid JSON/],
  ['something behind the document', '{} {}', /not valid JSON/],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /not valid JSON/],
  ['33 levels', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, /deeper than 32/],
  ['__proto__', '{"__proto__":{"name":"x"}}', /__proto__/],
  ['constructor, deep inside', '{"params":{"constructor":{"prototype":{}}}}', /constructor/],
  ['a list', '[]', /body/],
  ['null', 'null', /body/],
  ['a text', '"text"', /body/],
  ['a number', '5', /body/],
]
