import { startDemoProvider } from '@nexus/testing'
import type { Page } from 'playwright-core'
import { describe, expect } from 'vitest'
import { isChromiumMissing, keepPicture } from './chromium.ts'
import { expectAccessible, goodKey, looks, openPage, sendUnchecked, test as base } from './connect-scene.ts'
import { clientId, clientSecret, type startNexus } from './nexus.ts'

type Nexus = Awaited<ReturnType<typeof startNexus>>

/** With an OAuth provider whose profile asks first. */
const test = base.extend('provider', { scope: 'file' }, async ({ nexus }, { onCleanup }) => {
  const demo = await startDemoProvider()
  onCleanup(() => demo[Symbol.asyncDispose]())
  const { redirect_uri } = await nexus.registerProfile({
    name: 'demo',
    display_name: 'Demo Cloud',
    description: 'Sign-in for demonstrations',
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'email', 'https://api.example.com/auth/files.readonly'],
  })
  const client = { client_id: clientId, client_secret: clientSecret, client_name: 'Nexus' }
  await demo.addClient({ ...client, redirect_uris: [redirect_uri] })
  return demo
})

/** Every page a person can meet, by name: how it is reached. */
const pages: Readonly<Record<string, (nexus: Nexus, page: Page, returnUrl: string) => Promise<void>>> = {
  'form-key': async (nexus, page, returnUrl) => {
    await page.goto((await nexus.requestConnection('payments', { return_url: returnUrl })).authUrl)
  },
  'form-aws': async (nexus, page, returnUrl) => {
    await page.goto((await nexus.requestConnection('cloud', { return_url: returnUrl })).authUrl)
  },
  'form-refused': async (nexus, page, returnUrl) => {
    await page.goto((await nexus.requestConnection('everything', { return_url: returnUrl })).authUrl)
    await sendUnchecked(page)
    await page.getByRole('alert').waitFor()
  },
  confirm: async (nexus, page, returnUrl) => {
    await page.goto((await nexus.requestConnection('demo', { return_url: returnUrl, confirm: true })).authUrl)
  },
  completed: async (nexus, page) => {
    await page.goto((await nexus.requestConnection('payments', { return_url: undefined })).authUrl)
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'All done' }).waitFor()
  },
  'already-completed': async (nexus, page, returnUrl) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: returnUrl })
    await page.goto(authUrl)
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'active' })
    await page.goto(authUrl)
  },
  'wrong-browser': async (nexus, page, returnUrl) => {
    await page.goto((await nexus.requestConnection('payments', { return_url: returnUrl })).authUrl)
    await page.context().clearCookies()
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('link', { name: 'Open the link again' }).waitFor()
  },
  'invalid-link': async (nexus, page) => {
    await page.goto(`${nexus.gateway.url}/auth/connect/unknown`)
  },
  'gateway-invalid-link': async (nexus, page) => {
    await page.goto(`${nexus.gateway.url}/auth/callback?state=x`)
  },
}

describe.skipIf(isChromiumMissing)('in Chromium', () => {
  test.for(Object.keys(looks) as (keyof typeof looks)[])(
    'every page passes axe and fits its screen, and is kept as a picture: %s',
    async (look, { nexus, app, provider: _provider, browser }) => {
      for (const [name, reach] of Object.entries(pages)) {
        await using tab = await openPage(browser, looks[look])
        await reach(nexus, tab.page, app.returnUrl)
        await tab.page.waitForLoadState('networkidle')
        await keepPicture(tab.page, `${name}-${look}`)
        await expectAccessible(tab.page, `${name}, ${look}`)
        expect.soft(tab.complaints, name).toEqual([])
      }
    },
  )

  test.for(['ltr', 'rtl'])(
    'on the smallest screens, and written from right to left, all still fits: %s',
    async (dir, { nexus, app, provider: _provider, browser }) => {
      for (const [name, reach] of Object.entries(pages)) {
        // WCAG 2.2 §1.4.10: 320 CSS pixels, which is also a desktop at 400 %
        await using tab = await openPage(browser, { viewport: { width: 320, height: 640 } })
        await reach(nexus, tab.page, app.returnUrl)
        await tab.page.evaluate(`document.documentElement.dir = '${dir}'`)
        await expectAccessible(tab.page, `${name}, ${dir}`)
        if (dir === 'rtl') await keepPicture(tab.page, `${name}-rtl`)
      }
    },
  )

  test('a sign-in that asks first: the person reads who asks for what, and goes on to the provider', async ({
    nexus,
    app,
    provider: _provider,
    browser,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('demo', {
      return_url: app.returnUrl,
      confirm: true,
    })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    expect(await page.getByRole('main').textContent()).toContain('Acme asks to use your Demo Cloud account for:')
    expect((await page.getByRole('listitem').allTextContents()).map((text) => text.trim())).toEqual([
      expect.stringContaining('Know who you are'),
      expect.stringContaining('See your email address'),
      'https://api.example.com/auth/files.readonly',
    ])
    await page.getByRole('button', { name: 'Continue to Demo Cloud' }).click()
    await page.getByLabel(/name/i).fill('Ada Lovelace')
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'active' })
    expect(tab.complaints).toEqual([])
  })
})
