import { startDemoProvider } from '@nexus/testing'
import type { BrowserContext } from 'playwright-core'
import { describe, expect } from 'vitest'
import { isChromiumMissing, keepPicture, test as base } from './chromium.ts'
import { clientId, clientSecret } from './nexus.ts'

const test = base.extend('provider', { scope: 'file' }, async ({ nexus }, { onCleanup }) => {
  const demo = await startDemoProvider()
  onCleanup(() => demo[Symbol.asyncDispose]())
  const profile = {
    name: 'demo',
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'email'],
  }
  const { redirect_uri } = await nexus.registerProfile(profile)
  await demo.addClient({
    client_id: clientId,
    client_secret: clientSecret,
    client_name: 'Nexus',
    redirect_uris: [redirect_uri],
  })
  return demo
})

async function signIn(context: BrowserContext, link: string) {
  const page = await context.newPage()
  await page.goto(link)
  await page.getByLabel(/name/i).fill('Ada Lovelace')
  await page.getByRole('button', { name: 'Allow' }).click()
  await page.waitForURL(/\/auth\/callback/)
  return page
}

describe.skipIf(isChromiumMissing)('in Chromium', () => {
  test('[H4] a person connects an account, and the binding cookie is gone afterwards', async ({
    nexus,
    browser,
    provider,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('demo', { return_url: undefined })
    await using context = await browser.newContext()
    const page = await signIn(context, authUrl)

    expect(await page.getByRole('heading').textContent()).toBe('All done')
    // the stylesheet passed the page's own policy: the card has a width
    expect((await page.locator('main').boundingBox())?.width).toBeLessThan(700)
    await keepPicture(page, 'completed')
    expect((await context.cookies()).filter(({ name }) => name.includes('nx-'))).toEqual([])
    const token = await nexus.call<{ access_token: string }>(`/v1/token/${connection_id}`)
    const me = await fetch(`${provider.issuer}/me`, { headers: { authorization: `Bearer ${token.body.access_token}` } })
    expect(await me.json()).toMatchObject({ sub: 'ada-lovelace' })
  })

  test('[H4] a callback carried to another browser connects nothing, and the first browser still can', async ({
    nexus,
    browser,
    provider: _,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('demo', { return_url: undefined })
    await using victim = await browser.newContext({ colorScheme: 'dark', viewport: { width: 390, height: 800 } })
    await using attacker = await browser.newContext()
    // the attacker signs in as himself, without the cookie: his callback stays unused, and fit to be planted elsewhere
    const page = await attacker.newPage()
    await page.goto(authUrl)
    await page.getByLabel(/name/i).fill('Mallory')
    await attacker.clearCookies({ name: /^nx-/ })
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.waitForURL(/\/auth\/callback\?.*code=/)
    const callback = page.url()

    const planted = await victim.newPage()
    const answer = await planted.goto(callback)
    expect(answer?.status()).toBe(403)
    expect(await planted.getByRole('heading').textContent()).toMatch(/browser/i)
    await keepPicture(planted, 'wrong-browser-dark-phone')
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })

    await signIn(victim, authUrl)
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'active' })
  })

  test('[H9] no page of Nexus can be framed', async ({ nexus, browser }) => {
    await using context = await browser.newContext()
    const page = await context.newPage()
    await page.setContent(`<iframe src="${nexus.gateway.url}/auth/callback?state=x"></iframe>`)
    // what Chromium shows instead of a page that refuses
    await expect.poll(() => page.frames()[1]?.url()).toBe('chrome-error://chromewebdata/')
    expect(
      (await fetch(`${nexus.gateway.url}/auth/callback?state=x`)).headers.get('content-security-policy'),
    ).toContain("frame-ancestors 'none'")
  })
})
