import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type ScriptedProvider, createBrowser, startScriptedProvider } from '@nexus/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { type Installation, test as base } from './installation.ts'
import { hasTerminals, runNexus, startNexus } from './nexus-process.ts'

vi.setConfig({ testTimeout: 120_000 })

const test = base.extend('scene', { scope: 'file' }, async ({ nexus }, { onCleanup }) => {
  const provider = await startScriptedProvider()
  onCleanup(() => provider[Symbol.asyncDispose]())
  await register(nexus, provider)
  const made = await runNexus(['hub', 'token', 'create', '--name', 'app', '--zones', 'eng,ops', '--json'], {
    env: nexus.localEnv,
  })
  const { token } = JSON.parse(made.stdout) as { token: string }
  return { provider, env: { NEXUS_URL: nexus.gateway.url, NEXUS_TOKEN: token } }
})

async function register(nexus: Installation, provider: ScriptedProvider): Promise<void> {
  const client = { clientId: 'nexus-cli', clientSecret: 'the-secret-of-the-cli-tests' }
  const { status, body } = await nexus.call<{ redirect_uri: string }>('POST', '/providers', {
    name: 'scripted',
    issuer: provider.issuer,
    client_id: client.clientId,
    client_secret: client.clientSecret,
    scopes: ['openid', 'read', 'write'],
  })
  if (status !== 201) throw new Error(`the profile was refused: ${JSON.stringify(body)}`)
  provider.addClient({ ...client, redirectUris: [body.redirect_uri] })
}

const link = /^ {2}(http\S+)$/m

test('a person connects, and the command ends with 0', async ({ scene: { env } }) => {
  const connecting = startNexus(['connect', 'scripted', '--user', 'ada', '--zone', 'eng', '--no-open'], { env })
  const authUrl = await connecting.waitFor(link)
  expect(connecting.said.stdout).toMatch(/^Open this link to connect scripted for ada \(until 20[\d-]+ \d\d:\d\dZ\):\n/)
  await connecting.waitFor(/Waiting for the person to connect …\n/, 'stderr')
  await createBrowser().open(authUrl)
  const { exitCode, stdout } = await connecting.ended
  expect(exitCode, stdout).toBe(0)
  expect(stdout).toMatch(/^connected: scripted for ada, connection [0-9a-f-]{36}$/m)
  expect(stdout).not.toContain('\u001b')
})

test('with --json the result alone is on stdout, in the zone and with the scopes that were asked for', async ({
  nexus,
  scene: { env },
}) => {
  const args = [
    'connect',
    'scripted',
    '--user',
    'bob',
    '--zone',
    'ops',
    '--scopes',
    'openid, read',
    '--json',
    '--no-open',
  ]
  const connecting = startNexus(args, { env })
  await createBrowser().open(await connecting.waitFor(link, 'stderr'))
  const { exitCode, stdout } = await connecting.ended
  expect(exitCode).toBe(0)
  const result = JSON.parse(stdout) as { connection_id: string }
  expect(result).toMatchObject({ user: 'bob', status: 'active', status_reason: null, scopes: ['openid', 'read'] })
  const headers = { authorization: `Bearer ${env.NEXUS_TOKEN}` }
  const seen = await fetch(`${nexus.gateway.url}/v1/connections/${result.connection_id}`, { headers })
  expect(await seen.json()).toMatchObject({ zone: 'ops', status: 'active' })
})

test('who refuses at the provider ends it with 1 and the reason', async ({ scene: { env, provider } }) => {
  provider.behave({ authorization: { error: 'access_denied' } })
  onTestFinished(() => provider.behave({ authorization: { error: undefined } }))
  const connecting = startNexus(['connect', 'scripted', '--user', 'eve', '--zone', 'eng', '--no-open'], { env })
  await createBrowser().open(await connecting.waitFor(link))
  const { exitCode, stderr } = await connecting.ended
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/^Error: the connection has failed: \S+ \(connection [0-9a-f-]{36}\)$/m)
})

test('nobody comes: 1 when the time is over', async ({ scene: { env } }) => {
  const args = ['connect', 'scripted', '--user', 'late', '--zone', 'eng', '--no-open', '--timeout', '1s', '--json']
  const { exitCode, stdout } = await runNexus(args, { env })
  expect(exitCode).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({ status: 'pending', auth_url: expect.stringMatching(/^http/) as string })
})

test('the link is opened in a browser where there is one, and no browser is no failure', async ({ scene: { env } }) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-browser-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\nprintf '%s' "$1" > "${folder}/opened"\n`)
  await chmod(join(folder, 'xdg-open'), 0o755)
  const args = ['connect', 'scripted', '--user', 'ida', '--zone', 'eng', '--timeout', '1s']
  const withScreen = { ...env, DISPLAY: ':0', PATH: [folder, process.env['PATH']].join(delimiter) }
  const opened = await runNexus(args, { env: withScreen })
  const [, authUrl = ''] = link.exec(opened.stdout) ?? []
  await expect.poll(() => readFile(join(folder, 'opened'), 'utf8').catch(() => undefined)).toBe(authUrl)
  expect(opened.stderr).not.toContain('No browser')

  const empty = await mkdtemp(join(folder, 'empty-'))
  for (const bare of [env, { ...env, DISPLAY: ':0', PATH: empty }]) {
    const { exitCode, stderr } = await runNexus(args, { env: bare })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/^No browser could be opened here: open it yourself\.\nWaiting/)
  }
})

test('what Nexus refuses, and a Nexus that is away, end it with 1 and one line', async ({ nexus, scene: { env } }) => {
  const connect = (args: readonly string[], given: Readonly<Record<string, string>> = env) =>
    runNexus(['connect', ...args, '--no-open'], { env: given })
  const refused = [
    [await connect(['scripted', '--user', 'x']), /zone/i],
    [await connect(['nobody', '--user', 'x', '--zone', 'eng']), /no such provider/i],
    [await connect(['scripted', '--user', 'x', '--zone', 'root']), /./],
    [await connect(['scripted', '--user', 'x'], { NEXUS_URL: nexus.gateway.url }), /NEXUS_TOKEN/],
    // within seconds: it is told of, not waited for
    [
      await connect(['scripted', '--user', 'x'], { NEXUS_URL: 'http://127.0.0.1:9' }),
      /cannot be reached|no answer from Nexus/,
    ],
    [await connect(['scripted', '--user', 'x'], {}), /--url URL or NEXUS_URL/],
  ] as const
  for (const [{ exitCode, stdout, stderr }, words] of refused) {
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/^Error: [^\n]+\n$/)
    expect(stderr).toMatch(words)
  }
  for (const wrong of [
    ['scripted'],
    ['scripted', '--user', 'x', '--timeout', '10'],
    ['scripted', '--user', 'x', '--url', 'x'],
  ]) {
    expect((await connect(wrong)).exitCode, wrong.join(' ')).toBe(2)
  }
})

test('a link that is no web page is opened by nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-browser-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\necho opened > "${folder}/opened"\n`, { mode: 0o755 })
  const hostile = createServer((request, response) => {
    request.resume()
    const connection = {
      authUrl: 'file:///etc/passwd\u001b]0;title\u0007',
      connection_id: '019ab000-0000-7000-8000-000000000001',
    }
    const requested = {
      ...connection,
      state: 's',
      scopes: [],
      provider_id: connection.connection_id,
      expires_at: '2099-01-01T00:00:00.000Z',
    }
    const body = request.method === 'POST' ? requested : { status: 'pending', status_reason: null }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => void hostile.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void hostile.close())
  const env = {
    NEXUS_URL: `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`,
    DISPLAY: ':0',
    PATH: [folder, process.env['PATH']].join(delimiter),
  }
  const { exitCode, stdout, stderr } = await runNexus(['connect', 'x', '--user', 'x', '--timeout', '1s'], { env })
  expect(exitCode).toBe(1)
  expect(stderr).toContain('No browser could be opened here')
  expect(stdout, 'nothing reaches the terminal that would write its title').not.toContain('\u001b')
  await expect(readFile(join(folder, 'opened'))).rejects.toThrow('ENOENT')
})

test.runIf(hasTerminals)(
  'in a terminal it shows how long it waits, and Ctrl-C ends it with 130',
  async ({ scene: { env } }) => {
    const args = ['connect', 'scripted', '--user', 'tty', '--zone', 'eng', '--no-open']
    const connecting = startNexus(args, { env, terminal: true })
    await connecting.waitFor(/Waiting for the person to connect … [1-9]\d* s/)
    connecting.type('\u0003')
    const { exitCode, stdout } = await connecting.ended
    expect(exitCode, stdout).toBe(130)
    expect(stdout).toMatch(/\r\u001b\[2Kinterrupted\r\n$/)
  },
)
