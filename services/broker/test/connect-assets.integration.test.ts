import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { startTestBroker } from './harness.ts'

const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

/** Serves `answer` as a logo, and remembers what it was asked with. */
async function startLogoHost(answer: { status: number; body: string }) {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers.cookie ?? request.headers.accept)
    response.writeHead(answer.status, { 'content-type': 'text/html', location: '/elsewhere' }).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port }: Pick<AddressInfo, 'port'> = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/logo.svg`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const load = (url: string, path: string) => fetch(`${url}/auth/assets/${path}`)

test('[H9] what the pages load comes from the Broker, may be kept, and is nothing but what it says', async ({
  database,
}) => {
  await using broker = await startTestBroker(database, { env: { CONNECT_ACCENT_COLOR: '#635bff' } })
  for (const [path, type, content] of [
    ['page.css', 'text/css; charset=utf-8', ':focus-visible'],
    ['page.js', 'text/javascript; charset=utf-8', 'data-reveals'],
    ['brand.css', 'text/css; charset=utf-8', '--button: #635bff;'],
  ] as const) {
    const answer = await load(broker.url, path)
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': type,
      'cache-control': 'public, max-age=300',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    expect(await answer.text()).toContain(content)
  }
})

test('the logo is fetched once by the Broker and served from its own origin, and an SVG can run nothing', async ({
  database,
}) => {
  await using host = await startLogoHost({ status: 200, body: svg })
  await using broker = await startTestBroker(database, {
    env: { CONNECT_LOGO_URL: host.url, CONNECT_APP_NAME: 'Acme' },
  })
  await expect.poll(async () => (await load(broker.url, 'logo')).status).toBe(200)
  const logo = await load(broker.url, 'logo')
  expect(await logo.text()).toBe(svg)
  // by its bytes, not as its host called it
  expect(logo.headers.get('content-type')).toBe('image/svg+xml')
  expect(logo.headers.get('content-security-policy')).toBe("default-src 'none'; style-src 'unsafe-inline'; sandbox")
  await load(broker.url, 'logo')
  expect(host.asked).toEqual(['image/*'])
  const page = await (await fetch(`${broker.url}/auth/connect/unknown`)).text()
  expect(page).toContain('<img src="/auth/assets/logo" alt="Acme" />')
  expect(page).not.toContain(host.url)
})

test.for([
  ['is not there', { status: 404, body: svg }],
  ['is elsewhere', { status: 302, body: '' }],
  ['is a page', { status: 200, body: '<!doctype html><svg></svg>' }],
] as const)('a logo that %s is left out, and the name of the app stands as text', async ([, answer], { database }) => {
  await using host = await startLogoHost(answer)
  await using broker = await startTestBroker(database, {
    env: { CONNECT_LOGO_URL: host.url, CONNECT_APP_NAME: 'Acme' },
  })
  await expect.poll(broker.logs.text).toContain('CONNECT_LOGO_URL cannot be shown')
  expect((await load(broker.url, 'logo')).status).toBe(404)
  const page = await (await fetch(`${broker.url}/auth/connect/unknown`)).text()
  expect(page).toContain('<p class="brand"><bdi>Acme</bdi></p>')
  expect(host.asked).toHaveLength(1)
})

test('[P4] a logo at a private address is not fetched where private networks are closed', async ({ database }) => {
  await using host = await startLogoHost({ status: 200, body: svg })
  await using broker = await startTestBroker(database, {
    env: { CONNECT_LOGO_URL: host.url, ALLOW_PRIVATE_NETWORKS: 'false' },
  })
  await expect.poll(broker.logs.text).toContain('CONNECT_LOGO_URL cannot be shown')
  expect(host.asked).toEqual([])
})
