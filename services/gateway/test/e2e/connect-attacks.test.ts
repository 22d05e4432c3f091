import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startDemoProvider } from '@nexus/testing'
import type { Page } from 'playwright-core'
import { describe, expect } from 'vitest'
import { isChromiumMissing } from './chromium.ts'
import { goodKey, openPage, test } from './connect-scene.ts'
import { clientId, clientSecret, startNexus } from './nexus.ts'

const hostile = `"><img src=x onerror=alert(1)>'</title></option><script>alert(2)</script>`

/** A site of the attacker's: whatever is asked for, it answers with `markup`. */
async function startEvilSite(markup: string) {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(`<!doctype html><title>Evil</title>${markup}`)
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port }: Pick<AddressInfo, 'port'> = server.address() as AddressInfo
  return {
    /** Another site than 127.0.0.1, and the same site on another port. */
    origins: { 'another site': `http://localhost:${port}`, 'the same site': `http://127.0.0.1:${port}` },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readState(page: Page): Promise<string> {
  return page.locator('input[name=state]').inputValue()
}

describe.skipIf(isChromiumMissing)('in Chromium, markup in what is shown', () => {
  test('what operators and schemas say is shown and never run', async ({ emptyDatabase, browser }) => {
    await using nexus = await startNexus(emptyDatabase, { CONNECT_APP_NAME: hostile.slice(0, 80) })
    await using demo = await startDemoProvider()
    await nexus.registerProfile({
      name: 'hostile',
      description: hostile,
      auth_type: 'api_key',
      params: {
        credential_schema: {
          type: 'object',
          required: ['api_key', 'choice'],
          properties: {
            api_key: { type: 'string', title: hostile, description: hostile, examples: [hostile], format: 'password' },
            choice: { type: 'string', title: hostile, oneOf: [{ const: hostile, title: hostile }] },
            text: { type: 'string', title: hostile, default: hostile },
          },
        },
      },
    })
    await nexus.registerProfile({
      name: 'hostile-oauth',
      description: hostile,
      issuer: demo.issuer,
      client_id: clientId,
      client_secret: clientSecret,
      scopes: [`<img/src=x/onerror=alert(1)>`, 'openid'],
      confirm: true,
    })
    await using tab = await openPage(browser)
    const { page } = tab
    const expectHarmless = async (): Promise<void> => {
      expect(await page.locator('img[src=x], main script, [onerror]').count()).toBe(0)
      expect(await page.locator('main').textContent()).toContain('onerror=alert(1)')
    }
    await page.goto((await nexus.requestConnection('hostile', { return_url: undefined })).authUrl)
    await expectHarmless()
    await page.locator('form').evaluate((form) => form.setAttribute('novalidate', ''))
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('alert').waitFor()
    await expectHarmless()
    await page.goto((await nexus.requestConnection('hostile-oauth', { return_url: undefined })).authUrl)
    await expectHarmless()
    expect(tab.complaints).toEqual([])
  })
})

describe.skipIf(isChromiumMissing)('in Chromium, forms that others send', () => {
  test.for(['another site', 'the same site'] as const)(
    'a form that %s sends in the name of the person connects nothing, even with the right state',
    async (from, { nexus, browser }) => {
      const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
      await using tab = await openPage(browser)
      await tab.page.goto(authUrl)
      const state = await readState(tab.page)
      await using evil = await startEvilSite(
        `<form method="post" action="${authUrl}"><input name="state" value="${state}">` +
          `<input name="credentials[api_key]" value="${goodKey}"></form><script>document.forms[0].submit()</script>`,
      )
      const page = await tab.context.newPage()
      const answered = page.waitForResponse((response) => response.request().method() === 'POST')
      await page.goto(evil.origins[from])
      expect((await answered).status()).toBe(400)
      await page.getByRole('heading', { name: 'This link does not work' }).waitFor()
      expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })

      // and the person's own form is as good as before
      await tab.page.getByLabel('Secret key', { exact: true }).fill(goodKey)
      await tab.page.getByRole('button', { name: 'Connect' }).click()
      await tab.page.getByRole('heading', { name: 'All done' }).waitFor()
    },
  )

  test("an attacker's state planted in another's browser is worth nothing without its cookie", async ({
    nexus,
    browser,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
    await using attacker = await openPage(browser)
    await using victim = await openPage(browser)
    await attacker.page.goto(authUrl)
    await victim.page.goto(authUrl)
    const planted = await readState(attacker.page)
    await victim.page
      .locator('input[name=state]')
      .evaluate((input, value) => input.setAttribute('value', value), planted)
    await victim.page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await victim.page.getByRole('button', { name: 'Connect' }).click()
    await victim.page.getByRole('heading', { name: 'This is not the browser you started in' }).waitFor()
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
  })

  test("a state of one link does not open another's form", async ({ nexus, browser }) => {
    const mine = await nexus.requestConnection('payments', { return_url: undefined })
    const other = await nexus.requestConnection('payments', { return_url: undefined, user_id: 'user-2' })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(mine.authUrl)
    const state = await readState(page)
    await page.goto(other.authUrl)
    await page.locator('input[name=state]').evaluate((input, value) => input.setAttribute('value', value), state)
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'This link does not work' }).waitFor()
    for (const { connection_id } of [mine, other]) {
      expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
    }
  })
})

describe.skipIf(isChromiumMissing)('in Chromium, forms that are not as they were', () => {
  test('[H9] the form cannot be framed', async ({ nexus, browser }) => {
    const { authUrl } = await nexus.requestConnection('payments')
    await using evil = await startEvilSite(`<iframe src="${authUrl}"></iframe>`)
    await using tab = await openPage(browser)
    await tab.page.goto(evil.origins['another site'])
    // what Chromium shows instead of a page that refuses
    await expect.poll(() => tab.page.frames()[1]?.url()).toBe('chrome-error://chromewebdata/')
  })

  test.for(['__proto__', 'constructor', 'other'])(
    'a field named %s is refused by its name',
    async (name, { nexus, browser }) => {
      const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
      await using tab = await openPage(browser)
      const { page } = tab
      await page.goto(authUrl)
      await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
      await page.locator('form').evaluate((form, field) => {
        form.insertAdjacentHTML('beforeend', `<input type="hidden" name="credentials[${field}]" value="x">`)
      }, name)
      await page.getByRole('button', { name: 'Connect' }).click()
      await page.getByRole('alert').waitFor()
      expect(await page.getByRole('alert').textContent()).toContain(`${name}: This was not accepted`)
      expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
    },
  )

  test('[C5] a form of more than 64 KiB is not read', async ({ nexus, browser }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    await page.getByLabel('Secret key', { exact: true }).fill(`sk_live_${'a'.repeat(70_000)}`)
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await page.getByRole('button', { name: 'Connect' }).click()
    expect((await answered).status()).toBe(413)
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
  })
})
