import { expect, test } from 'vitest'
import { lastBody, openRaw, request } from './raw-http.ts'
import { startApp } from './test-app.ts'

const short = { headers: 200, request: 400, keepAlive: 200, idle: 3_000, check: 50 }

test('[C6] a client that drips its headers is cut off, while others are served', async () => {
  await using server = await startApp((app) => app.get('/quick', async () => 'ok'), { timeouts: short })
  using slow = await openRaw(server.port)
  slow.send('GET /quick HTTP/1.1\r\nhost: test\r\nx-drip: ')
  const dripping = setInterval(() => slow.send('x'), 20)
  const others = await Promise.all(Array.from({ length: 20 }, () => fetch(`${server.url}/quick`)))
  expect(others.map((answer) => answer.status)).toEqual(Array(20).fill(200))

  const received = await slow.closed
  clearInterval(dripping)
  expect(received).toMatch(/^HTTP\/1\.1 408 /)
  expect(lastBody(received)).toMatchObject({ code: 'invalid_request', message: 'The request took too long to arrive' })
})

test('[C6] a client that drips its body is cut off', async () => {
  await using server = await startApp((app) => app.post('/take', async () => 'ok'), { timeouts: short })
  using slow = await openRaw(server.port)
  slow.send(request('POST', '/take', { 'content-type': 'application/json', 'content-length': '1000' }, '{'))
  const dripping = setInterval(() => slow.send(' '), 20)
  const received = await slow.closed
  clearInterval(dripping)
  expect(received).toMatch(/^HTTP\/1\.1 408 /)
})

test('[C6] a client that connects and says nothing is cut off', async () => {
  await using server = await startApp(() => undefined, { timeouts: short })
  using silent = await openRaw(server.port)
  expect(await silent.closed).toMatch(/^(?:HTTP\/1\.1 408 |$)/)
})

test('[C6] a connection that idles between requests is closed', async () => {
  await using server = await startApp((app) => app.get('/quick', async () => 'ok'), { timeouts: short })
  using client = await openRaw(server.port)
  client.send(request('GET', '/quick'))
  expect(await client.closed).toMatch(/^HTTP\/1\.1 200 /)
})

test('[C6] long work is not cut by the limits on slow clients', async () => {
  const work = Promise.withResolvers<string>()
  await using server = await startApp((app) => app.get('/long', () => work.promise), { timeouts: short })
  using client = await openRaw(server.port)
  using silent = await openRaw(server.port)
  client.send(request('GET', '/long', { connection: 'close' }))
  // by the time a silent connection is cut, the limits on headers and requests are long past
  await silent.closed
  work.resolve('done')
  expect(await client.closed).toMatch(/^HTTP\/1\.1 200 [\s\S]*done$/)
})

test('[C6] one address holds so many connections and no more; a closed one makes room', async () => {
  await using server = await startApp((app) => app.get('/quick', async () => 'ok'), { connections: { perAddress: 3 } })
  const held = await Promise.all(Array.from({ length: 3 }, () => openRaw(server.port)))
  // an answer on the last of them shows that the server has accepted all
  held[2]?.send(request('GET', '/quick'))
  await held[2]?.waitFor(/ok$/)

  using refused = await openRaw(server.port)
  expect(await refused.closed).toBe('')

  held[0]?.send(request('GET', '/quick', { connection: 'close' }))
  await held[0]?.closed
  using welcome = await openRaw(server.port)
  welcome.send(request('GET', '/quick'))
  expect(await welcome.waitFor(/ok$/)).toMatch(/^HTTP\/1\.1 200 /)
  for (const connection of held) connection[Symbol.dispose]()
})

test('[C6] an address that stands for many clients is not limited alone', async () => {
  const connections = { perAddress: 1, isShared: (address: string) => address.endsWith('127.0.0.1') }
  await using server = await startApp((app) => app.get('/quick', async () => 'ok'), { connections })
  const held = await Promise.all(Array.from({ length: 5 }, () => openRaw(server.port)))
  for (const connection of held) {
    connection.send(request('GET', '/quick'))
    expect(await connection.waitFor(/ok$/)).toMatch(/^HTTP\/1\.1 200 /)
    connection[Symbol.dispose]()
  }
})
