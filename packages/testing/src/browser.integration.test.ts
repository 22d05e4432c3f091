import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { createBrowser } from './browser.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

/** A site with one handler per path; returns its port. */
async function serve(routes: Readonly<Record<string, Handler>>): Promise<number> {
  const server = createServer((request, response) => {
    const route = routes[new URL(request.url ?? '/', 'http://x').pathname]
    if (route === undefined) response.writeHead(404).end()
    else void text(request).then((body) => route(request, response, body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

function redirectTo(location: string, status = 302): Handler {
  return (_request, response) => response.writeHead(status, { location }).end()
}

const echo: Handler = ({ method, headers }, response, body) =>
  response.end(JSON.stringify({ method, body, cookie: headers.cookie, origin: headers.origin, host: headers.host }))

function page(html: string, headers: Record<string, string> = {}): Handler {
  return (_request, response) => response.writeHead(200, headers).end(html)
}

test('follows redirects, keeps a trail, and stops before a request', async () => {
  const port = await serve({ '/a': redirectTo('/b?x=1'), '/b': redirectTo('https://app.example/done?status=success') })
  const here = `http://127.0.0.1:${port}`
  const end = await createBrowser().open(`${here}/a`, { stopAt: ({ host }) => host === 'app.example' })
  expect(end.url.searchParams.get('status')).toBe('success')
  expect(end.unsent?.method).toBe('GET')
  expect(end.trail).toEqual([
    { method: 'GET', url: `${here}/a`, status: 302, location: `${here}/b?x=1` },
    { method: 'GET', url: `${here}/b?x=1`, status: 302, location: 'https://app.example/done?status=success' },
  ])
})

test('cookies set on the way are sent, cleared ones are not', async () => {
  const port = await serve({
    '/set': (_request, response) =>
      response.writeHead(303, { location: '/clear', 'set-cookie': ['a=1; Path=/', 'b=2; Path=/'] }).end(),
    '/clear': (_request, response) =>
      response.writeHead(303, { location: '/echo', 'set-cookie': 'a=; Path=/; Max-Age=0' }).end(),
    '/echo': echo,
  })
  const browser = createBrowser()
  expect(JSON.parse((await browser.open(`http://127.0.0.1:${port}/set`)).body)).toMatchObject({ cookie: 'b=2' })
  const other = await createBrowser().open(`http://127.0.0.1:${port}/echo`)
  expect(JSON.parse(other.body)).not.toHaveProperty('cookie')
})

test.each([
  [301, 'GET'],
  [302, 'GET'],
  [303, 'GET'],
  [307, 'POST'],
  [308, 'POST'],
])('after a POST, %i continues with %s', async (status, method) => {
  const port = await serve({
    '/form': page('<form method=post action=/go><input name=a value=1></form>'),
    '/go': redirectTo('/echo', status),
    '/echo': echo,
  })
  const browser = createBrowser()
  const end = await browser.submit(await browser.open(`http://127.0.0.1:${port}/form`))
  expect(JSON.parse(end.body)).toMatchObject({ method, body: method === 'POST' ? 'a=1' : '' })
})

test("a provider's form_post from another site comes without Lax cookies; the GET after a 303 has them", async () => {
  const port = await serve({
    '/start': (_request, response) => response.writeHead(200, { 'set-cookie': 'bind=1; Path=/; SameSite=Lax' }).end(),
    '/provider': (_request, response) =>
      response.end(
        `<form method=post action="http://127.0.0.1:${port}/callback"><input type=hidden name=code value=c></form>
         <script>document.forms[0].submit()</script>`,
      ),
    '/callback': (request, response) =>
      request.method === 'POST'
        ? response.writeHead(303, { location: `/echo?post-had=${request.headers.cookie ?? 'none'}` }).end()
        : response.end(),
    '/echo': echo,
  })
  const browser = createBrowser()
  await browser.open(`http://127.0.0.1:${port}/start`)
  const end = await browser.open(`http://localhost:${port}/provider`)
  expect(end.url.searchParams.get('post-had')).toBe('none')
  expect(JSON.parse(end.body)).toMatchObject({ cookie: 'bind=1' })
})

test('a link on another site carries Lax cookies and no Strict ones', async () => {
  const cookies = ['lax=1; Path=/; SameSite=Lax', 'strict=1; Path=/; SameSite=Strict']
  const port = await serve({
    '/start': (_request, response) => response.writeHead(200, { 'set-cookie': cookies }).end(),
    '/echo': echo,
  })
  const browser = createBrowser()
  await browser.open(`http://127.0.0.1:${port}/start`)
  const typed = await browser.open(`http://127.0.0.1:${port}/echo`)
  expect(JSON.parse(typed.body)).toMatchObject({ cookie: 'lax=1; strict=1' })
  const clicked = await browser.open(`http://127.0.0.1:${port}/echo`, { from: 'https://mail.example/' })
  expect(JSON.parse(clicked.body)).toMatchObject({ cookie: 'lax=1' })
})

test('https origins are served by the host they are mapped to, Secure cookies included', async () => {
  const port = await serve({
    '/set': (_request, response) =>
      response.writeHead(303, { location: '/echo', 'set-cookie': '__Host-a=1; Secure; Path=/' }).end(),
    '/echo': echo,
  })
  const browser = createBrowser({ hosts: { 'https://nexus.test': `http://127.0.0.1:${port}` } })
  const end = await browser.open('https://nexus.test/set')
  expect(JSON.parse(end.body)).toMatchObject({ cookie: '__Host-a=1', host: 'nexus.test' })
  await expect(browser.open('https://elsewhere.test/')).rejects.toThrow('nothing answers for https://elsewhere.test')
})

test('a POST names its origin, unless its page withholds the referrer', async () => {
  const form = '<form method=post action=/echo></form>'
  const port = await serve({
    '/open': page(form),
    '/discreet': page(form, { 'referrer-policy': 'no-referrer' }),
    '/echo': echo,
  })
  const browser = createBrowser()
  const here = `http://127.0.0.1:${port}`
  const open = await browser.submit(await browser.open(`${here}/open`))
  expect(JSON.parse(open.body)).toMatchObject({ origin: here })
  const discreet = await browser.submit(await browser.open(`${here}/discreet`))
  expect(JSON.parse(discreet.body)).toMatchObject({ origin: 'null' })
})

test("a form's policy binds the redirects after it", async () => {
  const port = await serve({
    '/form': page('<form method=post action=/go></form>', { 'content-security-policy': "form-action 'self'" }),
    '/go': (_request, response) => response.writeHead(303, { location: `http://localhost:${port}/idp` }).end(),
  })
  const browser = createBrowser()
  const opened = await browser.open(`http://127.0.0.1:${port}/form`)
  await expect(browser.submit(opened)).rejects.toThrow(/form-action policy of .* forbids http:\/\/localhost/)
})

test('filling in what is not there is an error', async () => {
  const port = await serve({ '/form': page('<form><input name=a></form>') })
  const browser = createBrowser()
  const opened = await browser.open(`http://127.0.0.1:${port}/form`)
  await expect(browser.submit(opened, { fields: { b: '1' } })).rejects.toThrow('has no field b')
  await expect(browser.submit(opened, { button: 'Go' })).rejects.toThrow('has no button Go')
  await expect(browser.submit(opened, { form: 'other' })).rejects.toThrow('no form other')
})

test('a redirect loop ends', async () => {
  const port = await serve({ '/loop': redirectTo('/loop') })
  await expect(createBrowser().open(`http://127.0.0.1:${port}/loop`)).rejects.toThrow('no end after 30 steps')
})
