import { expect, test } from 'vitest'
import { buildOpenApiDocument } from './openapi.ts'

test('the document can be built without configuration, and is the same each time', async () => {
  const [first, second] = [await buildOpenApiDocument(), await buildOpenApiDocument()]

  expect(first).toBe(second)
  expect(JSON.parse(first)).toMatchObject({ openapi: '3.1.0', info: { title: 'Nexus Gateway' } })
})

test('[V5] no answer it describes has a field for a refresh token or a client secret', async () => {
  expect(await buildOpenApiDocument()).not.toMatch(/"(refresh_token|client_secret)"/)
})
