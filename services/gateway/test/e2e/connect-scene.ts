import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect } from 'vitest'
import { test as base } from './chromium.ts'
import { startNexus } from './nexus.ts'

const logo =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><rect width="40" height="40" rx="10" fill="#635bff"/>' +
  '<text x="50" y="28" font-family="sans-serif" font-size="22" font-weight="bold" fill="#635bff">Acme</text></svg>'

export const branding = {
  CONNECT_APP_NAME: 'Acme',
  CONNECT_ACCENT_COLOR: '#635bff',
  CONNECT_LOGO_URL: `data:image/svg+xml;base64,${Buffer.from(logo).toString('base64')}`,
}

export const keyField = {
  type: 'string',
  title: 'Secret key',
  description: 'In the dashboard under Developers, API keys.',
  format: 'password',
  pattern: '^sk_(live|test)_[A-Za-z0-9]{16,}$',
  maxLength: 200,
  examples: ['sk_live_…'],
}

export const goodKey = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'

/** Profiles of each kind, as an operator would write them. */
export const profiles = {
  payments: {
    name: 'payments',
    display_name: 'Payments',
    description: 'Takes payments on the internet',
    auth_type: 'api_key',
    params: {
      value_prefix: 'Bearer ',
      credential_schema: { type: 'object', properties: { api_key: keyField }, required: ['api_key'] },
    },
  },
  mailbox: { name: 'mailbox', auth_type: 'basic_auth' },
  cloud: { name: 'cloud', auth_type: 'aws_sigv4', params: { service: 's3', region: 'eu-central-1' } },
  everything: {
    name: 'everything',
    description: 'One field of every kind',
    auth_type: 'header',
    params: {
      credential_schema: {
        type: 'object',
        required: ['api_key', 'port', 'region', 'code'],
        properties: {
          api_key: keyField,
          port: { type: 'integer', title: 'Port', minimum: 1, maximum: 65_535 },
          ratio: { type: 'number', title: 'Ratio', exclusiveMinimum: 0, exclusiveMaximum: 10 },
          region: {
            type: 'string',
            title: 'Region',
            oneOf: [
              { const: 'eu', title: 'Europe' },
              { const: 'us', title: 'United States' },
            ],
          },
          code: { type: 'string', title: 'Code', minLength: 4, maxLength: 8 },
          live: { type: 'boolean', title: 'Live mode', description: 'Uses real money.' },
        },
      },
    },
  },
}

/** The app that people come from and return to. */
async function startApp() {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>App</title><h1>Back in the app</h1>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port }: Pick<AddressInfo, 'port'> = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    returnUrl: `http://127.0.0.1:${port}/settings?tab=accounts`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** `test` with an installation that bears a name, a colour and a logo, and an app to return to. */
export const test = base
  .extend('nexus', { scope: 'file' }, async ({ database }, { onCleanup }) => {
    const nexus = await startNexus(database, branding)
    onCleanup(() => nexus[Symbol.asyncDispose]())
    for (const profile of Object.values(profiles)) await nexus.registerProfile(profile)
    return nexus
  })
  .extend('app', { scope: 'file' }, async ({}, { onCleanup }) => {
    const app = await startApp()
    onCleanup(() => app[Symbol.asyncDispose]())
    return app
  })

/** The screens on which every page is judged. */
export const looks = {
  light: { viewport: { width: 1000, height: 900 }, colorScheme: 'light' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true, isMobile: true },
} as const satisfies Record<string, BrowserContextOptions>

export const phone: BrowserContextOptions = looks.phone

/** A page in a browser of its own, with whatever its console complained of. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // Chromium names every answer beyond 399 there; what a test expects of answers it says itself
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { context, page, complaints, [Symbol.asyncDispose]: () => context.close() }
}

/** Lets the browser send what it would itself refuse to. */
export async function sendUnchecked(page: Page): Promise<void> {
  await page.locator('form').evaluate((form) => form.setAttribute('novalidate', ''))
  await page.getByRole('button', { name: 'Connect' }).click()
}

/** axe's serious and critical findings, and a page that is wider than its screen. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(axe.source)
  const faults = await page.evaluate(async () => {
    const tool = (globalThis as unknown as { axe: typeof axe }).axe
    const { violations } = await tool.run()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  })
  expect.soft(faults, what).toEqual([])
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  expect.soft(overflow, `${what}: wider than the screen`).toBe(0)
}
