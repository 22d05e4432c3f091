import { expect, test } from 'vitest'
import { makeState, send, startGateway, type Gateway, type Sent } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

const badStates = (gateway: Gateway): readonly [string, number, Sent][] => {
  const good = makeState(gateway)
  const [payload = '', mac = ''] = good.split('.')
  const flipped = `${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`
  const get = (query: string): Sent => ({ target: `/auth/callback?${query}` })
  const post = (body: string, target = '/auth/callback'): Sent => ({ method: 'POST', target, headers: form, body })
  return [
    ['of another key', 400, get(`code=c&state=${payload}.${flipped}`)],
    ['without signature', 400, get(`code=c&state=${payload}`)],
    ['with an empty signature', 400, get(`code=c&state=${payload}.`)],
    ['that is not there', 400, get('code=c')],
    ['that is not in the form', 400, post('code=c')],
    ['empty', 400, get('code=c&state=')],
    ['with padding', 400, get(`code=c&state=${good}%3D`)],
    ['with more behind it', 400, get(`code=c&state=${good}.x`)],
    ['that is endless', 400, get(`code=c&state=${'a'.repeat(5_000)}`)],
    ['twice', 400, get(`code=c&state=${good}&state=${good}`)],
    ['twice, one encoded', 400, get(`code=c&state=${good}&st%61te=${payload}.${flipped}`)],
    ['with an encoded name', 400, get(`code=c&st%61te=${payload}.${flipped}`)],
    ['on the path of a provider', 400, { target: `/auth/callback/google?state=${payload}.${flipped}` }],
    ['on a connect link', 400, { target: '/auth/connect/ticket?state=x' }],
    ['in a form', 400, post(`code=c&state=${payload}.${flipped}`)],
    ['twice in a form', 400, post(`state=${good}&state=${good}`)],
    ['in the query of a form', 400, post('code=c', `/auth/callback?state=${payload}.${flipped}`)],
    ['both in the query and the form', 400, post(`state=${good}`, `/auth/callback?state=${good}`)],
  ]
}

test('[H1] a bad state gets a page and never reaches the Broker', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  for (const [what, status, sent] of badStates(gateway)) {
    // a program's Accept header does not turn the page into JSON
    const answer = await send(gateway, { ...sent, headers: { ...sent.headers, accept: 'application/json' } })
    expect(answer.status, what).toBe(status)
    expect(answer.headers, what).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
    })
    expect(answer.text, what).toMatch(/^<!doctype html>/)
  }
  expect(broker.requests).toEqual([])
})

test('[R9] the edge judges no age: its clock may be wrong by as much as it likes', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const nowSeconds = Math.floor(Date.now() / 1000)
  broker.answer('GET /auth/callback', { body: 'passed' })

  for (const minutes of [-60, -10, 0, 10, 60]) {
    const state = makeState(gateway, { issuedAt: nowSeconds + minutes * 60 })
    expect((await send(gateway, { target: `/auth/callback?state=${state}` })).text, `${minutes} minutes`).toBe('passed')
  }
})
