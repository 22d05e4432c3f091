import { existsSync } from 'node:fs'
import { startScriptedProvider } from '@nexus/testing'
import { type Browser, chromium } from 'playwright-core'
import { describe, expect } from 'vitest'
import { startExampleApp } from './example-app.ts'
import { clientId, clientSecret, test as base } from './nexus.ts'

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const isMissing = !existsSync(executablePath) && process.env['CI'] !== 'true'

const test = base
  .extend('browser', { scope: 'file' }, async ({}, { onCleanup }): Promise<Browser> => {
    const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--no-first-run']
    const browser = await chromium.launch({ executablePath, args })
    onCleanup(() => browser.close())
    return browser
  })
  .extend('provider', { scope: 'file' }, async ({ nexus }, { onCleanup }) => {
    const provider = await startScriptedProvider({ signingAlg: 'ES256' })
    onCleanup(() => provider[Symbol.asyncDispose]())
    const { redirect_uri } = await nexus.registerProfile({
      name: 'scripted',
      issuer: provider.issuer,
      client_id: clientId,
      client_secret: clientSecret,
      scopes: ['openid'],
      id_token_signed_response_alg: 'ES256',
    })
    provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri] })
    return provider
  })
  .extend('app', { scope: 'file' }, async ({ nexus }, { onCleanup }) => {
    const app = await startExampleApp((completion) => nexus.complete(completion))
    onCleanup(() => app[Symbol.asyncDispose]())
    return app
  })

describe.skipIf(isMissing)('in Chromium', () => {
  test('[H4] a forwarded connect link, opened and consented to by a victim, gives the attacker nothing', async ({
    nexus,
    browser,
    provider,
    app,
  }) => {
    const wanted = { user_id: 'attacker', return_url: `${app.url}/connected`, completion: 'app' }
    const { authUrl, connection_id } = await nexus.requestConnection('scripted', wanted)
    await using victim = await browser.newContext()
    const page = await victim.newPage()
    await page.goto(`${app.url}/sign-in?user=victim`)

    const before = provider.requestsTo('token').length
    await page.goto(authUrl)
    await page.waitForURL(`${app.url}/connected?**`)

    expect(await page.getByRole('heading').textContent()).toBe('That did not start with you')
    expect(app.completions.at(-1)).toMatchObject({ asked: { connection_id, user_id: 'victim' }, status: 409 })
    expect(provider.requestsTo('token')).toHaveLength(before)
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toEqual({
      status: 'failed',
      status_reason: 'completion_refused',
    })

    // the attacker has the victim's URL, from a log, say: it is worth nothing any more
    await using attacker = await browser.newContext()
    const stolen = await attacker.newPage()
    await stolen.goto(`${app.url}/sign-in?user=attacker`)
    await stolen.goto(page.url())
    expect(await stolen.getByRole('heading').textContent()).toBe('That did not start with you')
    expect((await nexus.call(`/v1/token/${connection_id}`)).status).toBe(409)
    expect(provider.requestsTo('token')).toHaveLength(before)
  })

  test('who started it finishes it, and reloading the app’s page does no harm', async ({
    nexus,
    browser,
    provider,
    app,
  }) => {
    const wanted = { user_id: 'ada', return_url: `${app.url}/connected`, completion: 'app' }
    const { authUrl, connection_id } = await nexus.requestConnection('scripted', wanted)
    await using context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(`${app.url}/sign-in?user=ada`)
    const before = provider.requestsTo('token').length
    await page.goto(authUrl)
    await page.waitForURL(`${app.url}/connected?**`)
    expect(await page.getByRole('heading').textContent()).toBe('Connected for ada')
    await page.reload()
    expect(app.completions.at(-1)?.status).toBe(409)
    expect(await page.getByRole('heading').textContent()).toBe('Connected for ada')
    expect((await nexus.call(`/v1/token/${connection_id}`)).status).toBe(200)
    expect((await context.cookies()).filter(({ name }) => name.includes('nx-'))).toEqual([])
    expect(provider.requestsTo('token')).toHaveLength(before + 1)
  })
})
