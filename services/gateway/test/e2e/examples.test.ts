// The programs of examples/, each as a process of its own, as a developer runs it.
import { fileURLToPath } from 'node:url'
import {
  type Service,
  answers,
  createBrowser,
  spawnService,
  startApiServer,
  startDemoProvider,
  startScriptedProvider,
} from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { connectByForm } from './connect-by-form.ts'
import { clientId, clientSecret, test } from './nexus.ts'

const linkLine = /Open this to connect your account: (\S+)/

async function startExample(
  name: string,
  env: Readonly<Record<string, string>>,
  ready: RegExp = linkLine,
): Promise<Service> {
  const entry = fileURLToPath(new URL(`../../../../examples/${name}.ts`, import.meta.url))
  const program = await spawnService({ entry, env, ready: { log: ready } })
  onTestFinished(async () => void (await program.kill9()))
  return program
}

async function linkOf(program: Service, pattern: RegExp = linkLine): Promise<string> {
  const [, link = ''] = await program.waitForOutput(pattern)
  return link
}

async function expectEnd(program: Service): Promise<void> {
  expect(await program.ended, program.output()).toEqual({ exitCode: 0, signal: null })
}

test('static-key.ts uses the key that a person types in, and does not print it', async ({ nexus }) => {
  await using api = await startApiServer({ kind: 'header', name: 'authorization', value: 'Bearer sk_live_canary' })
  await nexus.registerProfile({
    name: 'stripe',
    auth_type: 'api_key',
    api_base_url: api.url,
    params: { value_prefix: 'Bearer ' },
  })
  const program = await startExample('static-key', { NEXUS_URL: nexus.gateway.url, API_URL: `${api.url}/v1/balance` })
  await connectByForm(await linkOf(program), { api_key: 'sk_live_canary' })
  await expectEnd(program)
  expect(program.output()).toContain('200 {"method":"GET","target":"/v1/balance","body":""}')
  expect(program.output()).not.toContain('canary')
})

test('aws-sigv4.ts signs for a bucket with the keys that a person types in', async ({ nexus }) => {
  const keys = { access_key: 'AKIAIOSFODNN7EXAMPLE', secret_key: 'canary/K7MDENG/bPxRfiCYEXAMPLEKEY' }
  const accepted = { accessKey: keys.access_key, secretKey: keys.secret_key, service: 's3', region: 'us-east-1' }
  await using bucket = await startApiServer({ kind: 'aws', ...accepted })
  await nexus.registerProfile({
    name: 'aws-s3',
    auth_type: 'aws_sigv4',
    params: { service: 's3', region: 'us-east-1' },
  })
  const program = await startExample('aws-sigv4', { NEXUS_URL: nexus.gateway.url, BUCKET_URL: bucket.url })
  await connectByForm(await linkOf(program), keys)
  await expectEnd(program)
  expect(bucket.requests.map(({ method, fault }) => [method, fault])).toEqual([
    ['PUT', undefined],
    ['GET', undefined],
  ])
  expect(program.output()).toMatch(/PUT 200\nGET 200 /)
  expect(program.output()).not.toContain('canary')
})

test('oauth.ts calls the API as the person who signed in', async ({ nexus }) => {
  await using demo = await startDemoProvider()
  const { redirect_uri } = await nexus.registerProfile({
    name: 'example-oauth',
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'email'],
    api_base_url: demo.issuer,
  })
  await demo.addClient({ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect_uri] })
  const program = await startExample('oauth', {
    NEXUS_URL: nexus.gateway.url,
    PROVIDER: 'example-oauth',
    API_URL: `${demo.issuer}/me`,
  })
  await createBrowser({ person: { name: 'ada' } }).open(await linkOf(program))
  await expectEnd(program)
  expect(program.output()).toMatch(/200 \{"sub":"ada"/)
})

test('oauth.ts asks for consent again when the provider has ended the grant', async ({ nexus }) => {
  await using provider = await startScriptedProvider()
  await using api = await startApiServer()
  const { redirect_uri } = await nexus.registerProfile({
    name: 'example-ended',
    issuer: provider.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid'],
    api_base_url: api.url,
  })
  provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri] })
  const { authUrl, connection_id } = await nexus.requestConnection('example-ended', { return_url: undefined })
  await createBrowser().open(authUrl)
  const token = await nexus.call<{ access_token: string }>(`/v1/token/${connection_id}`)
  const first = { kind: 'header', name: 'authorization', value: `Bearer ${token.body.access_token}` } as const
  // knows the first token, and refuses it: whatever comes later is welcome
  api.accept(first)
  api.handle('/user', ({ fault }, response) => void response.writeHead(fault === undefined ? 401 : 200).end('{}'))
  provider.next('token', answers.json({ error: 'invalid_grant' }, { status: 400 }))

  const again = /Open this to connect your account again: (\S+)/
  const program = await startExample(
    'oauth',
    {
      NEXUS_URL: nexus.gateway.url,
      CONNECTION_ID: connection_id,
      API_URL: `${api.url}/user`,
    },
    again,
  )
  await createBrowser().open(await linkOf(program, again))
  await expectEnd(program)
  expect(program.output()).toMatch(/200 \{\}/)
})
