import { errorBody } from '@nexus/contracts'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createServer } from './create-server.ts'
import { createLogger } from './logger.ts'
import { buildOpenApi, registerOpenApi } from './openapi.ts'
import type { ZodApp } from './zod-app.ts'

const thing = z
  .object({ id: z.string().meta({ description: 'Its id' }), size: z.number().default(1) })
  .meta({ id: 'TestThing' })
const holder = z.strictObject({ thing }).meta({ id: 'TestHolderInput' })
z.object({ unused: z.string() }).meta({ id: 'TestUnused' })

const addThing = (app: ZodApp): unknown =>
  app.post('/things/:id', {
    schema: {
      summary: 'Keep a thing',
      security: [{ apiKey: [] }],
      params: z.strictObject({ id: z.string() }),
      querystring: z.strictObject({ limit: z.coerce.number().int().max(200).default(50) }),
      body: holder,
      response: { 200: thing, 404: errorBody },
    },
    handler: async () => ({ id: '1', size: 1 }),
  })
const addList = (app: ZodApp): unknown =>
  app.get('/things', { schema: { response: { 200: z.array(thing) } } }, async () => [])

async function documentOf(...routes: readonly ((app: ZodApp) => unknown)[]): Promise<string> {
  const app = createServer({ logger: createLogger({ level: 'silent', service: 'test' }) })
  const securitySchemes = { apiKey: { type: 'apiKey', name: 'X-API-Key', in: 'header' } } as const
  await registerOpenApi(app, { title: 'Test', version: '1.2.3', description: 'For tests', securitySchemes })
  for (const route of routes) route(app)
  await app.ready()
  return buildOpenApi(app)
}

test('the document is the same text for the same routes, in whatever order they were added', async () => {
  const document = await documentOf(addThing, addList)
  expect(await documentOf(addThing, addList)).toBe(document)
  expect(await documentOf(addList, addThing)).toBe(document)
  expect(document.endsWith('}\n')).toBe(true)
})

test('it is OpenAPI 3.1 with the routes, their parameters and the schemes', async () => {
  const document = JSON.parse(await documentOf(addThing, addList))
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Test', version: '1.2.3' },
    components: { securitySchemes: { apiKey: { type: 'apiKey' } } },
  })
  const operation = document.paths['/things/{id}'].post
  expect(operation).toMatchObject({ summary: 'Keep a thing', security: [{ apiKey: [] }] })
  expect(operation.parameters).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'id', in: 'path', required: true }),
      expect.objectContaining({
        name: 'limit',
        in: 'query',
        required: false,
        schema: expect.objectContaining({ default: 50 }),
      }),
    ]),
  )
})

test('named schemas are components, only those in use, and what is read may differ from what is answered', async () => {
  const document = JSON.parse(await documentOf(addThing, addList))
  expect(Object.keys(document.components.schemas)).toEqual(['Error', 'TestHolderInput', 'TestThing', 'TestThingInput'])
  const { TestThingInput: input, TestThing: output } = document.components.schemas
  expect(input.required).toEqual(['id'])
  expect(output.required).toEqual(['id', 'size'])
  expect(input.properties.id.description).toBe('Its id')
  const { requestBody, responses } = document.paths['/things/{id}'].post
  expect(requestBody.content['application/json'].schema.$ref).toBe('#/components/schemas/TestHolderInput')
  expect(responses['200'].content['application/json'].schema.$ref).toBe('#/components/schemas/TestThing')
  expect(document.components.schemas.TestHolderInput.properties.thing.$ref).toBe('#/components/schemas/TestThingInput')
})

test('bodies are closed, answers are open: fields may be added', async () => {
  const { TestHolderInput: body, TestThing: answer } = JSON.parse(await documentOf(addThing)).components.schemas
  expect(body.additionalProperties).toBe(false)
  expect(answer).not.toHaveProperty('additionalProperties')
})

test('a schema that holds one with two forms has two forms itself', async () => {
  const box = z.looseObject({ thing }).meta({ id: 'TestBox' })
  const addBox = (app: ZodApp): unknown =>
    app.put('/box', { schema: { body: box, response: { 200: box } } }, async () => ({ thing: { id: '1', size: 1 } }))
  const { schemas } = JSON.parse(await documentOf(addBox)).components
  expect(schemas.TestBox.properties.thing.$ref).toBe('#/components/schemas/TestThing')
  expect(schemas.TestBoxInput.properties.thing.$ref).toBe('#/components/schemas/TestThingInput')
})

test('two schemas that would share a name stop the document', async () => {
  const clash = z.object({ other: z.string() }).meta({ id: 'TestThingInput' })
  const addClash = (app: ZodApp): unknown => app.put('/clash', { schema: { body: clash } }, async () => ({}))
  await expect(documentOf(addThing, addClash)).rejects.toThrow('TestThingInput')
})

test('every reference leads somewhere', async () => {
  const text = await documentOf(addThing, addList)
  const { schemas } = JSON.parse(text).components
  const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? '')
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(schemas).toHaveProperty(name)
  expect(text).not.toContain('$defs')
})
