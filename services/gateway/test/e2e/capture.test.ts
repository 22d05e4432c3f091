import { once } from 'node:events'
import { createServer } from 'node:http'
import type { CaptureSchema, CredentialCaptured } from '@nexus/contracts'
import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { appUrl, startNexus } from './nexus.ts'

const origin = 'https://app.example.com'
const goodKey = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'

const test = base
  .extend('nexus', { scope: 'file' }, async ({ database }, { onCleanup }) => {
    const nexus = await startNexus(database, { CORS_ALLOWED_ORIGINS: origin })
    onCleanup(() => nexus[Symbol.asyncDispose]())
    return nexus
  })
  .extend('api', { scope: 'file' }, async ({}, { onCleanup }) => {
    const server = createServer(({ headers }, response) =>
      response.writeHead(headers.authorization === `Bearer ${goodKey}` ? 200 : 401).end(),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onCleanup(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
    return `http://127.0.0.1:${address.port}`
  })

test('a page of the app asks what to type, is told what was wrong, and then an agent has the key', async ({
  nexus,
  api,
}) => {
  await nexus.registerProfile({
    name: 'payments',
    auth_type: 'api_key',
    api_base_url: api,
    user_info_endpoint: `${api}/v1/account`,
    verify: 'required',
    params: { value_prefix: 'Bearer ' },
  })
  const { state, connection_id } = await nexus.requestConnection('payments')
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${nexus.gateway.url}${path}`, { ...init, headers: { origin, ...init.headers } })
  const submit = (api_key: string) =>
    ask('/v1/capture-credential', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ state, credentials: { api_key } }),
    })

  const described = await ask(`/v1/capture-schema?state=${state}`)
  expect(described.headers.get('access-control-allow-origin')).toBe(origin)
  const { schema, provider_name } = (await described.json()) as CaptureSchema
  expect([provider_name, schema['required']]).toEqual(['payments', ['api_key']])

  const split = await submit('two\nlines')
  expect([split.status, split.headers.get('access-control-allow-origin')]).toEqual([422, origin])
  expect(await split.json()).toMatchObject({ code: 'invalid_credentials', details: { fields: [{ field: 'api_key' }] } })
  const refused = await submit('sk_live_of-somebody-else')
  expect(await refused.json()).toMatchObject({ code: 'invalid_credentials', details: { reason: 'not_accepted' } })
  expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })

  const accepted = await submit(goodKey)
  expect(accepted.status).toBe(200)
  const { return_url } = (await accepted.json()) as CredentialCaptured
  expect(return_url).toBe(`${appUrl}?status=success&connection_id=${connection_id}&provider=payments`)
  expect((await nexus.call(`/v1/token/${connection_id}`)).body).toMatchObject({
    strategy: { type: 'header' },
    credentials: { api_key: goodKey },
  })
  expect((await submit(goodKey)).status).toBe(409)
  for (const written of [nexus.broker.output(), nexus.gateway.output()]) {
    expect(written).not.toContain(goodKey)
    expect(written).not.toContain('of-somebody-else')
    expect(written).not.toContain(state)
  }
})
