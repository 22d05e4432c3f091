import { type TestDatabase, startDemoProvider } from '@nexus/testing'
import type { Page } from 'playwright-core'
import { describe, expect } from 'vitest'
import { isChromiumMissing, keepPicture } from './chromium.ts'
import { expectAccessible, goodKey, looks, openPage, sendUnchecked, test as base } from './connect-scene.ts'
import { clientId, clientSecret, type startNexus } from './nexus.ts'

const manyPages = { timeout: 240_000 }

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

type Way = {
  readonly nexus: Nexus
  readonly page: Page
  readonly returnUrl: string
  readonly pool: TestDatabase['pool']
}

async function open({ nexus, page, returnUrl }: Way, provider: string, more: Readonly<Record<string, unknown>> = {}) {
  const requested = await nexus.requestConnection(provider, { return_url: returnUrl, ...more })
  await page.goto(requested.authUrl)
  return requested
}

async function enterKey({ page }: Way): Promise<void> {
  await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
  await page.getByRole('button', { name: 'Connect' }).click()
}

const past = `now() - interval '1 minute'`

/** Every page a person can meet, by name: how it is reached. */
const pages: Readonly<Record<string, (way: Way) => Promise<unknown>>> = {
  'form-key': (way) => open(way, 'payments'),
  'form-aws': (way) => open(way, 'cloud'),
  'form-refused': async (way) => {
    await open(way, 'everything')
    await sendUnchecked(way.page)
    await way.page.getByRole('alert').waitFor()
  },
  confirm: (way) => open(way, 'demo', { confirm: true }),
  completed: async (way) => {
    await open(way, 'payments', { return_url: undefined })
    await enterKey(way)
    await way.page.getByRole('heading', { name: 'All done' }).waitFor()
  },
  'already-completed': async (way) => {
    const { authUrl } = await open(way, 'payments')
    await enterKey(way)
    await way.page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    await way.page.goto(authUrl)
  },
  declined: async (way) => {
    await open(way, 'demo', { return_url: undefined })
    await way.page.getByRole('button', { name: 'Cancel' }).click()
    await way.page.getByRole('heading', { name: 'You did not allow the connection' }).waitFor()
  },
  'wrong-browser': async (way) => {
    await open(way, 'payments')
    await way.page.context().clearCookies()
    await enterKey(way)
    await way.page.getByRole('link', { name: 'Open the link again' }).waitFor()
  },
  'expired-page': async (way) => {
    const { connection_id } = await open(way, 'payments')
    await way.pool.query(
      `update handshake_attempts a set created_at = ${past}, expires_at = ${past}
         from handshakes h where h.id = a.handshake_id and h.connection_id = $1`,
      [connection_id],
    )
    await enterKey(way)
    await way.page.getByRole('link', { name: 'Open the link again' }).waitFor()
  },
  'expired-link': async (way) => {
    const { authUrl, connection_id } = await open(way, 'payments')
    await way.pool.query(`update handshakes set expires_at = ${past} where connection_id = $1`, [connection_id])
    await way.page.goto(authUrl)
  },
  'invalid-link': ({ nexus, page }) => page.goto(`${nexus.gateway.url}/auth/connect/unknown`),
  'gateway-invalid-link': ({ nexus, page }) => page.goto(`${nexus.gateway.url}/auth/callback?state=x`),
}

describe.skipIf(isChromiumMissing)('in Chromium', () => {
  test.for([
    ['a desk', looks.light, { light: 'light', dark: 'dark' }],
    ['a phone', looks.phone, { light: 'phone', dark: 'phone-dark' }],
  ] as const)(
    'every page passes axe and fits its screen, by day and by night, and is kept as a picture: on %s',
    manyPages,
    async ([, screen, names], { nexus, app, provider: _provider, browser, database: { pool } }) => {
      for (const [name, reach] of Object.entries(pages)) {
        await using tab = await openPage(browser, screen)
        await reach({ nexus, page: tab.page, returnUrl: app.returnUrl, pool })
        await tab.page.waitForLoadState('load')
        for (const colorScheme of ['light', 'dark'] as const) {
          await tab.page.emulateMedia({ colorScheme })
          await keepPicture(tab.page, `${name}-${names[colorScheme]}`)
          await expectAccessible(tab.page, `${name}, ${names[colorScheme]}`)
        }
        expect.soft(tab.complaints, name).toEqual([])
      }
    },
  )

  test(
    'on the smallest screens, and written from right to left, all still fits',
    manyPages,
    async ({ nexus, app, provider: _provider, browser, database: { pool } }) => {
      for (const [name, reach] of Object.entries(pages)) {
        // WCAG 2.2 §1.4.10: 320 CSS pixels, which is also a desktop at 400 %
        await using tab = await openPage(browser, { viewport: { width: 320, height: 640 } })
        await reach({ nexus, page: tab.page, returnUrl: app.returnUrl, pool })
        for (const dir of ['ltr', 'rtl']) {
          await tab.page.evaluate(`document.documentElement.dir = '${dir}'`)
          await expectAccessible(tab.page, `${name}, ${dir}`)
        }
        await keepPicture(tab.page, `${name}-rtl`)
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
