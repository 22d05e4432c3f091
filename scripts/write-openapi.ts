import { writeFileSync } from 'node:fs'
import { buildOpenApiDocument as buildBroker } from '@nexus/broker/openapi'
import { buildOpenApiDocument as buildGateway } from '@nexus/gateway/openapi'

// `npm run openapi` after a change of the contracts; a test compares the files with the routes
for (const [name, build] of [
  ['broker', buildBroker],
  ['gateway', buildGateway],
] as const) {
  const path = `docs/openapi-${name}.json`
  writeFileSync(path, await build())
  process.stdout.write(`wrote ${path}\n`)
}
