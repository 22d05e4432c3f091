import swagger from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { z } from 'zod'
import { createSchemaCollector, type SchemaCollector } from './openapi-schemas.ts'
import type { ZodApp } from './zod-app.ts'

export type OpenApiInfo = {
  readonly title: string
  readonly version: string
  readonly description: string
  /** How callers prove who they are, by scheme name. */
  readonly securitySchemes?: Readonly<Record<string, SecurityScheme>>
}

export type SecurityScheme =
  | { readonly type: 'apiKey'; readonly name: string; readonly in: 'header' }
  | { readonly type: 'http'; readonly scheme: 'bearer' }

/** Collects the routes' schemas. Await it before the first route is added: earlier ones are not seen. */
export async function registerOpenApi(app: ZodApp, info: OpenApiInfo): Promise<void> {
  const { title, version, description, securitySchemes = {} } = info
  const collector = createSchemaCollector()
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title, version, description },
      components: { securitySchemes: { ...securitySchemes } },
    },
    transform: ({ schema, url }) => ({ schema: convertRouteSchema(schema, collector), url }),
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject
      const { components: schemas, renameReferences } = collector.finish()
      const { components, paths } = document.openapiObject
      // the types of OpenAPI 3.0 and 3.1 differ too much for a new object to fit both
      return Object.assign(document.openapiObject, {
        components: { ...components, schemas },
        paths: renameReferences(paths),
      })
    },
  })
}

/** The document as JSON text that is the same for the same routes, whatever order they were added in. */
export function buildOpenApi(app: ZodApp): string {
  return `${JSON.stringify(app.swagger(), sortMembers, 2)}\n`
}

function convertRouteSchema(schema: FastifySchema | undefined, collector: SchemaCollector): FastifySchema {
  const { body, querystring, params, headers, response, ...rest } = schema ?? {}
  const parameters = { querystring, params, headers }
  const converted: FastifySchema = { ...rest }
  for (const part of ['querystring', 'params', 'headers'] as const) {
    const given = parameters[part]
    if (given instanceof z.core.$ZodType) converted[part] = collector.resolve(collector.convert(given, 'input'))
  }
  if (body instanceof z.core.$ZodType) converted.body = collector.convert(body, 'input')
  if (typeof response === 'object' && response !== null) converted.response = convertResponses(response, collector)
  return converted
}

function convertResponses(response: object, collector: SchemaCollector): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(response).map(([status, schema]: readonly [string, unknown]) => [
      status,
      schema instanceof z.core.$ZodType ? collector.convert(schema, 'output') : schema,
    ]),
  )
}

/** Orders by name what the document keys by name; a schema's own fields keep the order in which they were written. */
function sortMembers(name: string, value: unknown): unknown {
  if (!sortedMembers.has(name) || typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)))
}

const sortedMembers: ReadonlySet<string> = new Set(['paths', 'schemas', 'securitySchemes', 'responses'])
