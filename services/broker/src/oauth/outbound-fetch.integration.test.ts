import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { inspect } from 'node:util'
import { parseCidrs } from '@nexus/config'
import { expect, test } from 'vitest'
import { listen, openFetch, resolveTo, startPeer } from '../../test/outbound-peer.ts'
import { createAddressGuard, type ResolveName } from './address-guard.ts'

test('sends what it is given, and says who it is', async () => {
  const peer = await startPeer((_, response) => response.setHeader('x-y', 'z').end('{"a":1}'))
  const response = await openFetch()(`${peer.url}/token?x=1`, {
    method: 'POST',
    body: new URLSearchParams({ code: 'c 1' }),
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'library/1' },
  })
  expect(response.status).toBe(200)
  expect(response.headers.get('x-y')).toBe('z')
  expect(await response.json()).toEqual({ a: 1 })
  expect(peer.requests).toMatchObject([
    { url: '/token?x=1', headers: { accept: 'application/json', 'user-agent': 'Nexus-Broker', 'content-length': '8' } },
  ])
})

test('an Accept that a library sets stays', async () => {
  const peer = await startPeer()
  await openFetch()(peer.url, { headers: new Headers({ accept: 'application/jwk-set+json' }) })
  expect(peer.requests[0]?.headers).toMatchObject({ accept: 'application/jwk-set+json' })
})

test('errors of the provider are answers, not exceptions', async () => {
  const peer = await startPeer((_, response) => response.writeHead(400).end('{"error":"x"}'))
  expect((await openFetch()(peer.url)).status).toBe(400)
})

test.each([301, 302, 303, 307, 308, 304])(
  '[P4] a redirect (%i) to the metadata address is a failure, never followed',
  async (status) => {
    const inside = await startPeer()
    for (const location of ['http://169.254.169.254/latest/meta-data', inside.url, '/elsewhere']) {
      const peer = await startPeer((_, response) => response.writeHead(status, { location }).end())
      await expect(openFetch()(peer.url)).rejects.toMatchObject({ kind: 'invalid_answer', status })
      expect(peer.requests).toHaveLength(1)
    }
    expect(inside.requests).toEqual([])
  },
)

test('[P4] a private literal is refused before a byte is sent', async () => {
  const peer = await startPeer()
  for (const allowPrivateNetworks of [false, parseCidrs('10.0.0.0/8')]) {
    for (const host of ['127.0.0.1', '127.1', '0x7f000001', '[::ffff:127.0.0.1]']) {
      const outbound = openFetch({ allowPrivateNetworks })
      await expect(outbound(`http://${host}:${peer.port}/`), host).rejects.toMatchObject({ kind: 'address' })
      await expect(outbound(`https://${host}:${peer.port}/`), host).rejects.toMatchObject({ kind: 'address' })
    }
  }
  expect(peer.requests).toEqual([])
})

test('[P4] a name that resolves to loopback is refused at connect time', async () => {
  let connections = 0
  const port = await listen(createTcpServer((socket) => (connections++, socket.destroy())))
  const outbound = openFetch({ allowPrivateNetworks: false, resolve: resolveTo('127.0.0.1') })
  await expect(outbound(`https://provider.test:${port}/`)).rejects.toMatchObject({ kind: 'address' })
  await expect(openFetch({ allowPrivateNetworks: false })(`https://localhost:${port}/`)).rejects.toMatchObject({
    kind: 'address',
  })
  expect(connections).toBe(0)
})

test('[P4] one forbidden address among good ones condemns the name', async () => {
  const outbound = openFetch({ resolve: resolveTo('127.0.0.1', '169.254.169.254') })
  await expect(outbound('http://provider.test/')).rejects.toMatchObject({ kind: 'address' })
})

test('[P4] a name that moves inside between save and connect is refused', async () => {
  let connections = 0
  const port = await listen(createTcpServer((socket) => (connections++, socket.destroy())))
  const answers = ['8.8.8.8', '127.0.0.1']
  const options = {
    allowPrivateNetworks: false,
    resolve: async () => [{ address: answers.shift() ?? '127.0.0.1', family: 4 }],
  }
  await createAddressGuard(options).assertUrlAllowed(`https://provider.test:${port}/`)
  await expect(openFetch(options)(`https://provider.test:${port}/`)).rejects.toMatchObject({ kind: 'address' })
  expect(connections).toBe(0)
})

test('[P4] the socket uses the address that was checked: nobody resolves the name again', async () => {
  const peer = await startPeer()
  const lookups: string[] = []
  const resolve: ResolveName = async (hostname) => {
    lookups.push(hostname)
    return [{ address: lookups.length === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]
  }
  const response = await openFetch({ resolve })(`http://provider.test:${peer.port}/`)
  expect(response.status).toBe(200)
  expect(peer.requests[0]?.headers).toMatchObject({ host: `provider.test:${peer.port}` })
  expect(lookups).toEqual(['provider.test'])
})

test('[P4] plain http leaves the opened private networks neither by literal nor by name', async () => {
  await expect(openFetch()('http://8.8.8.8/')).rejects.toMatchObject({ kind: 'address' })
  await expect(openFetch({ resolve: resolveTo('8.8.8.8') })('http://provider.test/')).rejects.toMatchObject({
    kind: 'address',
  })
})

test.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'data:text/plain,x', 'https://u:p@127.0.0.1/', 'not a url'])(
  '[P4] %s is no URL to fetch',
  async (url) => {
    await expect(openFetch()(url)).rejects.toMatchObject({ kind: 'address' })
  },
)

test('a network that fails is named by its code alone', async () => {
  const port = await listen(createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy())))
  await expect(openFetch()(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({
    kind: 'unavailable',
    message: /ECONNRESET/,
  })
  const missing = openFetch({ resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })) })
  await expect(missing('https://provider.test/')).rejects.toMatchObject({ kind: 'unavailable', message: /ENOTFOUND/ })
})

test('[P5] what a peer says outside HTTP is in no error', async () => {
  const port = await listen(
    createTcpServer((socket) => socket.once('data', () => socket.end('CANARY-91 is not HTTP\r\n\r\n'))),
  )
  const error: unknown = await openFetch()(`http://127.0.0.1:${port}/`).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ kind: 'unavailable' })
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain('CANARY')
})

test('a POST that broke off is not sent again', async () => {
  let posts = 0
  const peer = await startPeer((request, response) => {
    if (request.method !== 'POST') return void response.end('{}')
    posts++
    request.socket.destroy()
  })
  const outbound = openFetch()
  await outbound(peer.url)
  await expect(outbound(peer.url, { method: 'POST', body: 'a=1' })).rejects.toMatchObject({ kind: 'unavailable' })
  expect(posts).toBe(1)
})

async function startProxy() {
  const targets: (string | undefined)[] = []
  const server = createServer().on('connect', (request, socket) => {
    targets.push(request.url)
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
  })
  const port = await listen(server)
  return { httpsProxy: `http://127.0.0.1:${port}`, targets }
}

test('[P4] with a proxy the name is checked first, then the proxy is asked', async () => {
  const { httpsProxy, targets } = await startProxy()
  const names: Readonly<Record<string, string>> = { 'outside.test': '8.8.8.8', 'inside.test': '10.0.0.1' }
  const resolve: ResolveName = async (hostname) => [{ address: names[hostname] ?? '127.0.0.1', family: 4 }]
  const outbound = openFetch({ allowPrivateNetworks: false, httpsProxy, resolve })
  await expect(outbound('https://outside.test/token')).rejects.toMatchObject({ kind: 'unavailable' })
  expect(targets).toEqual(['outside.test:443'])
  for (const url of ['https://inside.test/', 'https://elsewhere.test/', 'https://10.0.0.1/']) {
    await expect(outbound(url), url).rejects.toMatchObject({ kind: 'address' })
  }
  expect(targets).toHaveLength(1)
})

test('[P4] NO_PROXY hosts are reached directly, and by the guarded lookup', async () => {
  const { httpsProxy, targets } = await startProxy()
  const hellos: number[] = []
  const port = await listen(
    createTcpServer((socket) =>
      socket.once('data', (bytes) => {
        hellos.push(bytes[0] ?? -1)
        socket.destroy()
      }),
    ),
  )
  const outbound = openFetch({ httpsProxy, noProxy: '.idp.test,other.test', resolve: resolveTo('127.0.0.1') })
  await expect(outbound(`https://login.idp.test:${port}/`)).rejects.toMatchObject({ kind: 'unavailable' })
  expect(hellos, 'a TLS handshake').toEqual([0x16])
  const guarded = openFetch({
    httpsProxy,
    noProxy: 'idp.test',
    allowPrivateNetworks: false,
    resolve: resolveTo('127.0.0.1'),
  })
  await expect(guarded(`https://idp.test:${port}/`)).rejects.toMatchObject({ kind: 'address' })
  expect(targets).toEqual([])
})
