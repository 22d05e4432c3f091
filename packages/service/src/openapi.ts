import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
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
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title, version, description },
      components: { securitySchemes: { ...securitySchemes } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
}

/** The document as JSON text that is the same for the same routes, whatever order they were added in. */
export function buildOpenApi(app: ZodApp): string {
  return `${JSON.stringify(app.swagger(), sortMembers, 2)}\n`
}

/** Orders by name what the document keys by name; a schema's own fields keep the order in which they were written. */
function sortMembers(name: string, value: unknown): unknown {
  if (!sortedMembers.has(name) || typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)))
}

const sortedMembers: ReadonlySet<string> = new Set(['paths', 'schemas', 'securitySchemes', 'responses'])
