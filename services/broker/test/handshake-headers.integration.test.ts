import { answers, createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { type Arrival, arrive, consent, openLink, openProvider, send, test, travel } from './handshake-scene.ts'
import { type TestBroker, isApp, requestConnection } from './harness.ts'

/** Every duty of H9, on any answer at all. */
function expectHeadersOfH9({ headers, status }: Arrival, what: string): void {
  const policy = headers.get('content-security-policy') ?? ''
  expect
    .soft(
      {
        what,
        referrer: headers.get('referrer-policy'),
        cache: headers.get('cache-control'),
        sniffing: headers.get('x-content-type-options'),
        policy: policy.split('; ').filter((part) => /^(default-src|frame-ancestors|base-uri|script-src)/.test(part)),
      },
      `${what} (${status})`,
    )
    .toEqual({
      what,
      referrer: 'no-referrer',
      cache: 'no-store',
      sniffing: 'nosniff',
      policy: ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"],
    })
}

/** One answer of every kind that exists below /auth/, by its name. */
async function collectAnswers(broker: TestBroker): Promise<readonly (readonly [string, number, Arrival])[]> {
  const provider = await openProvider(broker)
  const form = (body: string): Parameters<typeof send>[1] => ({
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  })
  const journey = await travel(broker, provider)
  const denied = await travel(broker, provider)
  denied.callback.searchParams.set('error', 'access_denied')
  const silent = await travel(broker, provider, { return_url: undefined })
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const at = (path: string) => `${broker.url}${path}`
  const callback = journey.callback.pathname
  return [
    ['link opened', 303, await send(authUrl)],
    ['unknown ticket', 404, await send(at('/auth/connect/unknown'))],
    ['overlong ticket', 400, await send(at(`/auth/connect/${'x'.repeat(65)}`))],
    ['very overlong ticket', 400, await send(at(`/auth/connect/${'x'.repeat(600)}`))],
    ['ticket with a broken escape', 400, await send(at('/auth/connect/%ZZ'))],
    ['method that nobody routes', 404, await send(at(callback), { method: 'DELETE' })],
    ['unknown path', 404, await send(at('/auth/nowhere'))],
    ['unknown path for a program', 404, await send(at('/auth/nowhere'), { headers: { accept: '*/*' } })],
    ['other spelling of the path', 404, await send(at('/auth//callback'))],
    ['encoded path', 400, await send(at('/auth/%63allback'))],
    ['bad state', 400, await send(at(`${callback}?state=x`))],
    ['parameter given twice', 400, await send(at(`${callback}?state=x&state=y`))],
    ['wrong browser', 403, await send(journey.callback)],
    ['form turned into a GET', 303, await send(at(callback), form('state=x&code=y'))],
    ['form too large', 413, await send(at(callback), form('x'.repeat(70_000)))],
    [
      'form of another type',
      415,
      await send(at(callback), { ...form('{}'), headers: { 'content-type': 'text/plain' } }),
    ],
    ['returned with success', 303, await arrive(journey)],
    ['returned with an error', 303, await arrive(denied)],
    ['page of success', 200, await arrive(silent)],
    ['already completed', 410, await send(journey.callback)],
    ['link already used', 410, await send(journey.authUrl)],
    ['consent-spec without a key', 401, await send(at('/auth/consent-spec'), { method: 'POST' })],
  ]
}

test('[H9] every answer below /auth/ carries the headers: redirects, pages, errors, 404', async ({ broker }) => {
  for (const [what, status, answer] of await collectAnswers(broker)) {
    expect.soft([what, answer.status]).toEqual([what, status])
    expectHeadersOfH9(answer, what)
  }
})

test('[H9] an answer of consent-spec, with its link and state, is stored nowhere', async ({ broker }) => {
  const provider = await openProvider(broker)
  for (const [body, status] of [
    [{ workspace_id: 'u', provider_name: provider.name }, 200],
    [{ workspace_id: 'u', provider_name: 'nobody' }, 404],
    [{}, 400],
  ] as const) {
    const { headers, status: answered, text } = await broker.post('/auth/consent-spec', body)
    expect(answered).toBe(status)
    expectHeadersOfH9({ headers, status, text, location: undefined }, `consent-spec ${status}`)
  }
})

test('[H9] pages load nothing from elsewhere, and run nothing but the one script of their own origin', async ({
  broker,
}) => {
  for (const [what, , { text, headers }] of await collectAnswers(broker)) {
    if (headers.get('content-type')?.startsWith('text/html') !== true) continue
    const rest = text.replace('<script src="/auth/assets/page.js" defer></script>', '')
    expect(rest, what).not.toMatch(/<script|<form|<style|style=|\son\w+=|https?:|javascript:/i)
  }
})

test('[H9] codes, states, tickets, cookies and verifiers never reach a log', async ({ broker }) => {
  broker.logs.clear()
  const provider = await openProvider(broker)
  const secrets: string[] = []
  const remember = (url: URL): void => {
    for (const name of ['code', 'state', 'nonce', 'code_challenge']) {
      const value = url.searchParams.get(name)
      if (value !== null) secrets.push(value)
    }
  }
  // the good way, and each that goes wrong: refusals and failures log more than successes
  const page = await createBrowser().open((await requestConnection(broker, { provider_name: provider.name })).authUrl, {
    stopAt: isApp,
  })
  for (const { url } of page.trail) remember(new URL(url))
  for (const step of [answers.oauthError('invalid_grant'), answers.serverError(), answers.junk()]) {
    provider.next('token', step)
    const journey = await travel(broker, provider)
    remember(journey.callback)
    remember(journey.url)
    secrets.push(journey.state, journey.cookie.split('=')[1] ?? '', journey.authUrl.split('/').at(-1) ?? '')
    const tampered = new URL(journey.callback)
    tampered.searchParams.set('state', `${journey.state}x`)
    await send(tampered, { cookie: journey.cookie })
    await send(journey.callback)
    await send(journey.callback, { method: 'PUT' })
    await send(`${journey.callback.href}&code=${journey.callback.searchParams.get('code')}`)
    await send(`${journey.callback.href}&filler=${'x'.repeat(20_000)}`)
    await send(`${journey.authUrl}/`)
    await send(journey.callback, { method: 'POST', body: journey.callback.searchParams })
    await arrive(journey)
    await arrive(journey)
  }
  for (const { form } of provider.requestsTo('token')) secrets.push(form.get('code_verifier') ?? '')
  secrets.push(...provider.secrets())

  const logged = broker.logs.text()
  expect(logged).toContain('the code exchange failed')
  expect(secrets.length).toBeGreaterThan(30)
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(20)
    // a piece of one is too much already
    for (const piece of [secret.slice(0, 20), secret.slice(-20), encodeURIComponent(secret)]) {
      expect(logged.includes(piece), `logged: ${piece} of ${secret}`).toBe(false)
    }
  }
})

test('[H9] the redirect after a POST is a 303, and no redirect repeats a method', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const departure = await openLink(authUrl)
  const callback = await consent(departure)
  const posted = await send(callback, { method: 'POST', body: callback.searchParams })
  const arrived = await send(callback, { cookie: departure.cookie })
  expect([posted.status, arrived.status]).toEqual([303, 303])
})
