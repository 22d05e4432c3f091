import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { openFetch, startPeer } from '../../test/outbound-peer.ts'

test('[P4] a body over the cap is cut off', async () => {
  const peer = await startPeer((request, response) => {
    if (request.url === '/stated') response.writeHead(200, { 'content-length': '1001' })
    response.end(Buffer.alloc(1001))
  })
  const outbound = openFetch({ maxBytes: 1000 })
  for (const path of ['/stated', '/chunked']) {
    await expect(outbound(peer.url + path)).rejects.toMatchObject({ kind: 'invalid_answer', message: /too large/ })
  }
})

test('[P4] an endless body is cut off', async () => {
  const peer = await startPeer((_, response) => {
    const pour = (): void =>
      void (response.write(Buffer.alloc(65_536)) ? setImmediate(pour) : response.once('drain', pour))
    pour()
    response.once('close', () => response.destroy())
  })
  await expect(openFetch()(peer.url)).rejects.toMatchObject({ kind: 'invalid_answer', message: /too large/ })
})

test.each([
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
])('[P4] a %s bomb does not unpack', async (encoding, compress) => {
  const bomb = compress(Buffer.alloc(20 << 20, 32))
  const small = compress(Buffer.from('{"a":1}'))
  const peer = await startPeer((request, response) => {
    response.writeHead(200, { 'content-encoding': encoding }).end(request.url === '/bomb' ? bomb : small)
  })
  expect(bomb.length).toBeLessThan(1 << 20)
  await expect(openFetch()(`${peer.url}/bomb`)).rejects.toMatchObject({ kind: 'invalid_answer', message: /too large/ })
  const response = await openFetch()(`${peer.url}/small`)
  expect(await response.json()).toEqual({ a: 1 })
  expect(response.headers.has('content-encoding')).toBe(false)
})

test.each([
  ['damaged', 'gzip'],
  ['stacked', 'gzip, gzip'],
  ['unknown', 'zstd'],
])('[P4] %s compression is refused', async (_, encoding) => {
  const peer = await startPeer((_request, response) => {
    response.writeHead(200, { 'content-encoding': encoding }).end('no such thing')
  })
  await expect(openFetch()(peer.url)).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test('[P4] a peer that never answers, or drips, is given up', async () => {
  const peer = await startPeer((request, response) => {
    if (request.url === '/silent') return
    response.writeHead(200).flushHeaders()
    if (request.url === '/stops') return void response.write('{')
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  })
  const quick = { headersMs: 150, bodyMs: 150, totalMs: 600 }
  for (const path of ['/silent', '/stops', '/drips']) {
    const outbound = openFetch({ timeouts: quick })
    await expect(outbound(peer.url + path), path).rejects.toMatchObject({ kind: 'unavailable' })
  }
})

test('[P4] a connection that does not come to stand is given up', async () => {
  const outbound = openFetch({ resolve: () => new Promise(() => {}), timeouts: { connectMs: 100 } })
  await expect(outbound('https://provider.test/')).rejects.toMatchObject({ kind: 'unavailable' })
})

test('the caller can give up too', async () => {
  const peer = await startPeer(() => {})
  const signal = AbortSignal.timeout(100)
  await expect(openFetch()(peer.url, { signal })).rejects.toMatchObject({ kind: 'unavailable' })
})

test('[P4] a body that is ignored is neither waited for nor read to its end', async () => {
  const closed = Promise.withResolvers<number>()
  const peer = await startPeer((request, response) => {
    response.writeHead(request.url === '/small' ? 200 : 503, { 'retry-after': '7' }).flushHeaders()
    if (request.url === '/small') return void response.end('short')
    if (request.url === '/drips') return void response.write('{')
    let sent = 0
    const pour = (): void => {
      sent += 65_536
      if (response.write(Buffer.alloc(65_536))) setImmediate(pour)
      else response.once('drain', pour)
    }
    pour()
    response.once('close', () => closed.resolve(sent))
  })
  const outbound = openFetch({ timeouts: { bodyMs: 5_000 } })
  for (const path of ['/drips', '/pours']) {
    const answer = await outbound(peer.url + path, { ignoresBody: true })
    expect([answer.status, answer.headers.get('retry-after'), answer.body]).toEqual([503, '7', null])
  }
  // what the sockets on the way hold
  expect(await closed.promise).toBeLessThan(16 << 20)
  expect((await outbound(`${peer.url}/small`, { ignoresBody: true })).ok).toBe(true)
})

test('[P4] a dripping body that is ignored ends with its request’s deadline', async () => {
  const closed = Promise.withResolvers<void>()
  const peer = await startPeer((_, response) => {
    response.writeHead(200).flushHeaders()
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => {
      clearInterval(timer)
      closed.resolve()
    })
  })
  const answer = await openFetch()(peer.url, { ignoresBody: true, signal: AbortSignal.timeout(300) })
  expect(answer.ok).toBe(true)
  await closed.promise
})
