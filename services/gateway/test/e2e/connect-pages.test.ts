import { describe, expect } from 'vitest'
import { isChromiumMissing } from './chromium.ts'
import { goodKey, openPage, phone, sendUnchecked, test } from './connect-scene.ts'

type Payload = { readonly strategy: { readonly type: string }; readonly credentials: Readonly<Record<string, unknown>> }

describe.skipIf(isChromiumMissing)('in Chromium', () => {
  test('a person connects an API key on a phone, sees what is going on, and an agent reads the key', async ({
    nexus,
    app,
    browser,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: app.returnUrl })
    await using tab = await openPage(browser, phone)
    const { page } = tab
    await page.goto(authUrl)
    for (const words of ['Acme asks to use your Payments account', `You will return to ${app.host}`]) {
      expect(await page.getByRole('main').textContent()).toContain(words)
    }
    expect(
      await page
        .getByRole('img', { name: 'Acme' })
        .evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
    ).toBeGreaterThan(0)

    const field = page.getByLabel('Secret key', { exact: true })
    await field.fill(` ${goodKey} `)
    expect(await field.getAttribute('type')).toBe('password')
    await page.getByRole('button', { name: 'Show: Secret key' }).click()
    expect(await field.getAttribute('type')).toBe('text')
    await page.getByRole('button', { name: 'Hide: Secret key' }).click()
    expect(await field.getAttribute('type')).toBe('password')
    await page.getByRole('button', { name: 'Connect' }).click()

    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    const returned = new URL(page.url())
    expect(Object.fromEntries(returned.searchParams)).toEqual({
      tab: 'accounts',
      status: 'success',
      connection_id,
      provider: 'payments',
    })
    const { body } = await nexus.call<Payload>(`/v1/token/${connection_id}`)
    // a blank that came with the copying is none of the key
    expect(body).toMatchObject({ strategy: { type: 'header' }, credentials: { api_key: goodKey } })
    expect(tab.complaints).toEqual([])
    expect((await tab.context.cookies()).filter(({ name }) => name.includes('nx-'))).toEqual([])
  })

  test('basic auth: user name before password, and the password is kept to the letter', async ({ nexus, browser }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('mailbox', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    expect(await page.locator('label').allTextContents()).toEqual(['Username', 'Password'])
    await page.getByLabel('Username').fill('ada@example.com')
    await page.getByLabel('Password', { exact: true }).fill(' pass "word" <&> ')
    await page.getByRole('button', { name: 'Connect' }).click()

    await page.getByRole('heading', { name: 'All done' }).waitFor()
    const { body } = await nexus.call<Payload>(`/v1/token/${connection_id}`)
    expect(body.credentials).toEqual({ username: 'ada@example.com', password: ' pass "word" <&> ' })
  })

  test('AWS keys: the session token may be left out, and is then not there', async ({ nexus, browser }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('cloud', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    expect(await page.locator('label').allTextContents()).toEqual([
      'Access key ID',
      'Secret access key',
      'Session token (optional)',
    ])
    await page.getByLabel('Access key ID').fill('AKIAIOSFODNN7EXAMPLE')
    await page.getByLabel('Secret access key', { exact: true }).fill('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')
    await page.getByRole('button', { name: 'Connect' }).click()

    await page.getByRole('heading', { name: 'All done' }).waitFor()
    const { body } = await nexus.call<Payload>(`/v1/token/${connection_id}`)
    expect(body.credentials).toEqual({
      access_key: 'AKIAIOSFODNN7EXAMPLE',
      secret_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    })
  })
})

describe.skipIf(isChromiumMissing)('in Chromium, without JavaScript or mouse', () => {
  test('without JavaScript all is the same: a fault, its place, and the connection', async ({
    nexus,
    app,
    browser,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: app.returnUrl })
    await using tab = await openPage(browser, { javaScriptEnabled: false })
    const { page } = tab
    await page.goto(authUrl)
    expect(await page.getByRole('button').allTextContents()).toEqual(['Connect'])
    await page.getByLabel('Secret key', { exact: true }).fill('not-a-key')
    await page.getByRole('button', { name: 'Connect' }).click()

    const summary = page.getByRole('alert')
    await summary.waitFor()
    expect(await summary.textContent()).toContain('Secret key: This does not look right')
    expect(await page.locator(':focus').getAttribute('role')).toBe('alert')
    expect(await page.getByLabel('Secret key', { exact: true }).inputValue()).toBe('')
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'active' })
  })

  test('the form can be sent by keyboard alone, and twice in a row it is sent once', async ({
    nexus,
    app,
    browser,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: app.returnUrl })
    await using tab = await openPage(browser)
    const { page } = tab
    let sent = 0
    page.on('request', (request) => (sent += request.method() === 'POST' ? 1 : 0))
    await page.goto(authUrl)
    await page.keyboard.press('Tab')
    await page.keyboard.type(goodKey)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    expect(await page.getByLabel('Secret key', { exact: true }).getAttribute('type')).toBe('text')
    await page.keyboard.press('Tab')
    await page.locator('form').evaluate((form) => {
      const sender = form as unknown as { requestSubmit: () => void }
      sender.requestSubmit()
      sender.requestSubmit()
    })
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    expect(sent).toBe(1)
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'active' })
  })
})

describe.skipIf(isChromiumMissing)('in Chromium, what was entered is refused', () => {
  const good = { api_key: goodKey, port: '443', region: 'eu', code: 'abcd' }

  test.for([
    ['an API key is missing', { api_key: '' }, 'Secret key', 'This is needed'],
    ['a key does not look like one', { api_key: 'sk_live_short' }, 'Secret key', 'This does not look right'],
    ['a key is too long', { api_key: `sk_live_${'a'.repeat(200)}` }, 'Secret key', 'enter at most 200 characters'],
    ['a number is missing', { port: '' }, 'Port', 'This is needed'],
    ['a number is not whole', { port: '1.5' }, 'Port', 'Enter a whole number'],
    ['a number is too small', { port: '0' }, 'Port', 'Enter 1 or more'],
    ['a number is too large', { port: '65536' }, 'Port', 'Enter 65535 or less'],
    ['a number is not above its limit', { ratio: '0' }, 'Ratio (optional)', 'Enter more than 0'],
    ['a number is not below its limit', { ratio: '10' }, 'Ratio (optional)', 'Enter less than 10'],
    ['nothing was chosen', { region: '' }, 'Region', 'Choose one of the options'],
    ['a text is too short', { code: 'abc' }, 'Code', 'enter at least 4 characters'],
    ['a text is too long', { code: 'abcdefghi' }, 'Code', 'enter at most 8 characters'],
  ] as const)('where %s, the form says so beside the field', async ([, bad, label, words], { nexus, browser }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('everything', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    const values: Readonly<Record<string, string>> = { ...good, ...bad }
    for (const [name, value] of Object.entries(values)) {
      const input = page.locator(`[name="credentials[${name}]"]`)
      await (name === 'region' ? input.selectOption(value) : input.fill(value))
    }
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await sendUnchecked(page)
    expect((await answered).status()).toBe(422)

    const field = page.getByLabel(label, { exact: true })
    expect(await field.getAttribute('aria-invalid')).toBe('true')
    const described = (await field.getAttribute('aria-describedby'))?.split(' ').at(-1)
    expect(await page.locator(`#${described}`).textContent()).toContain(words)
    expect(await page.title()).toBe('Problem: Connect everything')
    // the summary has the focus, and its link leads to the field
    const summary = page.getByRole('alert')
    await expect.poll(() => summary.evaluate((element) => element.matches(':focus'))).toBe(true)
    expect(await summary.getByRole('link').count()).toBe(1)
    await summary.getByRole('link').click()
    expect(await field.evaluate((element) => element.matches(':focus'))).toBe(true)
    // nothing that was typed came back
    const markup = await page.content()
    for (const value of Object.values(values).filter(({ length }) => length > 7)) expect(markup).not.toContain(value)
    expect(await page.locator('[name="credentials[code]"]').inputValue()).toBe('')
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
  })
})

describe.skipIf(isChromiumMissing)('in Chromium, too late or elsewhere', () => {
  test('a link that is used up says so; a form that was open all the while tells whoever was first, and nobody else', async ({
    nexus,
    browser,
  }) => {
    const { authUrl } = await nexus.requestConnection('payments', { return_url: undefined })
    await using first = await openPage(browser)
    await using elsewhere = await openPage(browser)
    const tab = await first.context.newPage()
    for (const page of [first.page, tab, elsewhere.page]) {
      await page.goto(authUrl)
      await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    }
    await first.page.getByRole('button', { name: 'Connect' }).click()
    await first.page.getByRole('heading', { name: 'All done' }).waitFor()
    await tab.getByRole('button', { name: 'Connect' }).click()
    await tab.getByRole('heading', { name: 'All done' }).waitFor()
    await elsewhere.page.getByRole('button', { name: 'Connect' }).click()
    await elsewhere.page.getByRole('heading', { name: 'This link was already used' }).waitFor()
    await first.page.goto(authUrl)
    await first.page.getByRole('heading', { name: 'This link was already used' }).waitFor()
  })

  test('in another browser the form connects nothing, and offers the link anew', async ({ nexus, browser }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page, context } = tab
    await page.goto(authUrl)
    await context.clearCookies()
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'This is not the browser you started in' }).waitFor()
    expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })

    await page.getByRole('link', { name: 'Open the link again' }).click()
    await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'All done' }).waitFor()
  })

  test('a form that was open for too long offers the link anew, and an old link says where to get another', async ({
    nexus,
    browser,
    database,
  }) => {
    const { authUrl, connection_id } = await nexus.requestConnection('payments', { return_url: undefined })
    await using tab = await openPage(browser)
    const { page } = tab
    await page.goto(authUrl)
    const past = `now() - interval '1 minute'`
    const ofConnection = 'select id from handshakes where connection_id = $1'
    const submitTooLate = async () => {
      await database.pool.query(
        `update handshake_attempts set created_at = ${past}, expires_at = ${past} where handshake_id in (${ofConnection})`,
        [connection_id],
      )
      await page.getByLabel('Secret key', { exact: true }).fill(goodKey)
      await page.getByRole('button', { name: 'Connect' }).click()
    }
    await submitTooLate()
    await page.getByRole('heading', { name: 'This page was open for too long' }).waitFor()

    await page.getByRole('link', { name: 'Open the link again' }).click()
    await page.getByLabel('Secret key', { exact: true }).waitFor()
    await database.pool.query(`update handshakes set expires_at = ${past} where connection_id = $1`, [connection_id])
    await submitTooLate()
    await page.getByRole('heading', { name: 'This link has expired' }).waitFor()
    expect(await page.getByRole('link', { name: 'Open the link again' }).count(), 'it leads nowhere').toBe(0)
    await page.goto(authUrl)
    await page.getByRole('heading', { name: 'This link has expired' }).waitFor()
  })
})
