import { z } from 'zod'

export type JsonSchema = Record<string, unknown>

export type Direction = 'input' | 'output'

export type SchemaCollector = {
  /** The JSON Schema of a zod schema; schemas with an `id` in their metadata become references, named later. */
  readonly convert: (schema: z.core.$ZodType, direction: Direction) => JsonSchema
  /** What a reference of `convert` points at, for places where OpenAPI wants the schema itself. */
  readonly resolve: (schema: JsonSchema) => JsonSchema
  /** The components, named, and a function that points the references of a document at them. */
  readonly finish: () => Finished
}

export type Finished = {
  readonly components: Record<string, JsonSchema>
  readonly renameReferences: (document: unknown) => unknown
}

const componentPrefix = '#/components/schemas/'
const definitionPrefix = '#/$defs/'

/**
 * Collects named schemas while routes are converted: only what a route of this service uses becomes a component. The
 * type provider's own transform lists every schema of the process and refuses names that end in `Input`.
 *
 * One schema may read differently from how it answers (defaults, say). Both forms are kept until all are known; then an
 * answered form has the plain name, and so has one that is only read; one that is both and differs gets `Input`.
 */
export function createSchemaCollector(): SchemaCollector {
  const collected = new Map<string, JsonSchema>()

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
    const point = (reference: string): string => reference.replace(definitionPrefix, `${componentPrefix}${direction}:`)
    for (const [name, definition] of Object.entries(readObject(document['$defs']))) {
      const { id: _id, ...rest } = readObject(mapReferences(definition, point))
      collected.set(`${direction}:${name}`, rest)
    }
    return readObject(mapReferences(readObject(document.properties)['root'], point))
  }

  return {
    convert,
    resolve: (schema) => {
      const reference = schema['$ref']
      return (typeof reference === 'string' && collected.get(reference.slice(componentPrefix.length))) || schema
    },
    finish: () => nameComponents(collected),
  }
}

function nameComponents(collected: ReadonlyMap<string, JsonSchema>): Finished {
  const nameOf = (key: string): string => {
    const [direction, name = ''] = key.split(':')
    return direction === 'input' && hasTwoForms(collected, name) ? `${name}Input` : name
  }
  const rename = (reference: string): string =>
    reference.startsWith(componentPrefix)
      ? `${componentPrefix}${nameOf(reference.slice(componentPrefix.length))}`
      : reference
  const renameReferences = (value: unknown): unknown => mapReferences(value, rename)

  const components: Record<string, JsonSchema> = {}
  for (const [key, schema] of collected) {
    const [name, renamed] = [nameOf(key), readObject(renameReferences(schema))]
    const taken = components[name]
    if (taken !== undefined && JSON.stringify(taken) !== JSON.stringify(renamed)) {
      throw new Error(`two different schemas would be called ${name} in the OpenAPI document`)
    }
    components[name] = renamed
  }
  return { components, renameReferences }
}

/** Whether a schema reads and answers differently, in itself or in a schema it refers to. */
function hasTwoForms(collected: ReadonlyMap<string, JsonSchema>, name: string, visited = new Set<string>()): boolean {
  const [input, output] = [collected.get(`input:${name}`), collected.get(`output:${name}`)]
  if (input === undefined || output === undefined || visited.has(name)) return false
  const text = JSON.stringify(input)
  if (text.replaceAll('schemas/input:', 'schemas/output:') !== JSON.stringify(output)) return true
  visited.add(name)
  const inner = text.matchAll(/schemas\/input:([^"]+)"/g)
  return inner.some(([, innerName = '']) => hasTwoForms(collected, innerName, visited))
}

function mapReferences(value: unknown, map: (reference: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => mapReferences(item, map))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) =>
      key === '$ref' && typeof inner === 'string' ? [key, map(inner)] : [key, mapReferences(inner, map)],
    ),
  )
}

function readObject(value: unknown): JsonSchema {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
