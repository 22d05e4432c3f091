import { z } from 'zod'

export type JsonSchema = Record<string, unknown>

export type Direction = 'input' | 'output'

export type SchemaCollector = {
  /** The JSON Schema of a zod schema; schemas with an `id` in their metadata become references to `components`. */
  readonly convert: (schema: z.core.$ZodType, direction: Direction) => JsonSchema
  /** What a reference of `convert` points at, for places where OpenAPI wants the schema itself. */
  readonly resolve: (schema: JsonSchema) => JsonSchema
  readonly components: () => Record<string, JsonSchema>
}

const componentPrefix = '#/components/schemas/'
const definitionPrefix = '#/$defs/'

/**
 * Collects named schemas while routes are converted: only what a route of this service uses becomes a component. The
 * type provider's own transform lists every schema of the process and refuses names that end in `Input`.
 */
export function createSchemaCollector(): SchemaCollector {
  const components = new Map<string, JsonSchema>()

  function convert(schema: z.core.$ZodType, direction: Direction): JsonSchema {
    // wrapped, so that a named schema stands among the definitions even when it is the root
    const document = z.toJSONSchema(z.object({ root: schema }), {
      target: 'draft-2020-12',
      io: direction,
      unrepresentable: 'any',
      override: ({ jsonSchema }) => {
        // fields are added to answers over time, and clients ignore the ones they do not know
        if (direction === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
      },
    })
    const definitions = Object.entries(readObject(document['$defs']))
    const names = new Map(definitions.map(([name, definition]) => [name, nameFor(name, definition, direction)]))
    for (const [name, definition] of definitions) {
      components.set(names.get(name) ?? name, readObject(pointAtComponents(withoutId(definition), names)))
    }
    return readObject(pointAtComponents(readObject(document.properties)['root'], names))
  }

  /** What a service reads and what it answers may differ under one name (defaults, say): the later one gets a suffix. */
  function nameFor(name: string, definition: unknown, direction: Direction): string {
    const known = components.get(name)
    const plain = JSON.stringify(pointAtComponents(withoutId(definition), new Map()))
    if (known === undefined || JSON.stringify(known) === plain) return name
    return `${name}${direction === 'input' ? 'Input' : 'Output'}`
  }

  return {
    convert,
    resolve: (schema) => {
      const reference = schema['$ref']
      if (typeof reference !== 'string') return schema
      return components.get(reference.slice(componentPrefix.length)) ?? schema
    },
    components: () => Object.fromEntries(components),
  }
}

function pointAtComponents(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => pointAtComponents(item, names))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) =>
      key === '$ref' && typeof inner === 'string' && inner.startsWith(definitionPrefix)
        ? [key, componentReference(inner.slice(definitionPrefix.length), names)]
        : [key, pointAtComponents(inner, names)],
    ),
  )
}

function componentReference(name: string, names: ReadonlyMap<string, string>): string {
  return `${componentPrefix}${names.get(name) ?? name}`
}

function withoutId(definition: unknown): unknown {
  const { id: _id, ...rest } = readObject(definition)
  return rest
}

function readObject(value: unknown): JsonSchema {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
