import { readFileSync } from 'node:fs'
import { buildOpenApiDocument as buildGatewayDocument } from '@nexus/gateway/openapi'
import { expect, test } from 'vitest'
import { buildOpenApiDocument } from '../src/openapi.ts'

test.each([
  ['broker', buildOpenApiDocument],
  ['gateway', buildGatewayDocument],
])('docs/openapi-%s.json is what the routes say; `npm run openapi` writes it', async (name, build) => {
  const committed = readFileSync(new URL(`../../../docs/openapi-${name}.json`, import.meta.url), 'utf8')
  expect(await build()).toBe(committed)
})

test('[V5] no answer of the Broker has a field for a refresh token or a client secret', async () => {
  const { paths, components } = JSON.parse(await buildOpenApiDocument())
  const answers = JSON.stringify(Object.values(paths).map((path) => responsesOf(path)))
  expect(answers).not.toMatch(/"(refresh_token|client_secret)"/)
  // what answers refer to, requests apart: those are where secrets come in
  const referred = Object.entries(components.schemas).filter(([name]) => answers.includes(`/${name}"`))
  expect(referred.length).toBeGreaterThan(3)
  expect(JSON.stringify(referred)).not.toMatch(/"(refresh_token|client_secret)"/)
})

function responsesOf(path: unknown): unknown[] {
  return Object.values(path as Record<string, { readonly responses?: unknown }>).map(({ responses }) => responses)
}
