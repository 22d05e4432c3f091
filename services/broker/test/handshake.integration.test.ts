import { createBrowser, startDemoProvider } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import {
  isApp,
  readToken,
  registerProfile,
  requestConnection,
  startRegisteredProvider,
  startTestBroker,
} from './harness.ts'

test('an account is connected at a certified OpenID provider and its token fetched', async ({ database }) => {
  await using broker = await startTestBroker(database)
  await using demo = await startDemoProvider()
  const { redirectUri } = await registerProfile(broker, {
    name: 'demo',
    issuer: demo.issuer,
    client_id: 'nexus',
    client_secret: 'demo-secret-demo-secret',
    scopes: ['openid', 'email', 'offline_access', 'read'],
  })
  demo.addClient({ client_id: 'nexus', client_secret: 'demo-secret-demo-secret', redirect_uris: [redirectUri] })

  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: 'demo' })
  expect((await readToken(broker, connection_id)).body).toMatchObject({
    code: 'connection_not_active',
    details: { status: 'pending' },
  })

  const page = await createBrowser({ person: { name: 'ada' } }).open(authUrl, { stopAt: isApp })
  expect(Object.fromEntries(page.url.searchParams)).toEqual({
    from: 'app',
    status: 'success',
    connection_id,
    provider: 'demo',
  })

  const connection = await broker.get(`/connections/${connection_id}`)
  expect(connection.body).toMatchObject({
    status: 'active',
    account: { issuer: demo.issuer, subject: 'ada', label: 'ada@demo.test' },
  })
  const token = await readToken(broker, connection_id)
  expect(token.status).toBe(200)
  expect(token.body).toMatchObject({ strategy: { type: 'oauth2' }, token_type: 'Bearer', provider: 'demo' })
  expect(token.text).not.toContain('refresh')
})

test('the whole way with a scripted provider', async ({ database }) => {
  await using broker = await startTestBroker(database)
  await using provider = await startRegisteredProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker)
  const page = await createBrowser().open(authUrl, { stopAt: isApp })
  expect(page.url.searchParams.get('status')).toBe('success')
  expect((await readToken(broker, connection_id)).status).toBe(200)
  expect(provider.violations).toEqual([])
})
