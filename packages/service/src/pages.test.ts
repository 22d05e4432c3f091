import { Script } from 'node:vm'
import { expect, test } from 'vitest'
import { createServer } from './create-server.ts'
import { html } from './html.ts'
import { createLogger } from './logger.ts'
import { brandStylesheetPath, logoPath, pageScriptPath, pageStylesheetPath } from './page-assets.ts'
import { pageScript } from './page-script.ts'
import { pageStylesheet } from './page-stylesheet.ts'
import { englishTexts, type PageKind } from './page-texts.ts'
import { type Brand, problemPage, renderPage, sendPage } from './pages.ts'

const logger = createLogger({ level: 'silent', service: 'test' })
const kinds: readonly PageKind[] = [
  'invalid-link',
  'expired-link',
  'expired-page',
  'wrong-browser',
  'already-completed',
  'not-allowed',
  'declined',
  'other-account',
  'provider-problem',
  'sign-in-failed',
  'try-again-later',
  'completed',
]

test.each(kinds)('the page %s says what happened and what to do next, and needs no script', (kind) => {
  const { markup } = problemPage(kind, { requestId: 'abcdefgh' })
  const text = englishTexts.pages[kind]
  for (const words of [text.title, text.heading, text.happened, text.next, 'abcdefgh']) expect(markup).toContain(words)
  expect(markup).toMatch(/^<!doctype html>/)
  expect(loadedBy(markup)).toEqual([pageStylesheetPath, brandStylesheetPath, pageScriptPath])
  expect(markup).not.toMatch(/<script>|<style|style=|\son\w+=|https?:/)
})

/** Whatever a page names to be fetched or opened. */
function loadedBy(markup: string): readonly (string | undefined)[] {
  return [...markup.matchAll(/(?:src|href|action)="([^"]*)"/g)].map(([, url]) => url)
}

test("the app's logo stands above, with its name for those who cannot see it; without one the name itself", () => {
  const appName = '<Acme> & "Co"'
  const escaped = '&lt;Acme&gt; &amp; &quot;Co&quot;'
  const page = (brand: Brand) => problemPage('completed', { brand }).markup
  expect(page({ appName, hasLogo: true })).toContain(`<img src="${logoPath}" alt="${escaped}" />`)
  expect(page({ appName: undefined, hasLogo: true })).toContain(`<img src="${logoPath}" alt="" />`)
  expect(page({ appName, hasLogo: false })).toContain(`<bdi>${escaped}</bdi>`)
  expect(page({ appName: undefined, hasLogo: false })).not.toContain('class="brand"')
})

test('where the link is in hand, a page offers to open it again', () => {
  const { markup } = problemPage('wrong-browser', { openAgain: '/auth/connect/abc' })
  expect(markup).toContain(`<a class="button" href="/auth/connect/abc">${englishTexts.connect.openAgain}</a>`)
  expect(markup).toContain(englishTexts.pages['wrong-browser'].nextWithLink)
  expect(problemPage('wrong-browser').markup).not.toContain('<a ')
})

test('foreign words in a page are shown, never run', () => {
  const name = '<img src=x onerror=alert(1)>'
  const { markup } = renderPage({ title: name, heading: name, lang: '"><x', body: html`<p>${name}</p>` })
  expect(markup).not.toContain('<img')
  expect(markup).not.toContain('"><x')
})

test('a translation brings its own language and direction', () => {
  const texts = { ...englishTexts, lang: 'ar', dir: 'rtl' as const }
  expect(problemPage('completed', { texts }).markup).toMatch(/<html lang="ar" dir="rtl">/)
})

test('the stylesheet fetches nothing and knows dark mode', () => {
  expect(pageStylesheet).not.toMatch(/url\(|@import/)
  expect(pageStylesheet).toContain('prefers-color-scheme: dark')
  expect(pageStylesheet).toContain(':focus-visible')
  expect(pageStylesheet).not.toMatch(/[^-](left|right|width):/)
})

test('the script is one that parses, and makes no markup, no request and no code of its own', () => {
  expect(() => new Script(pageScript)).not.toThrow()
  expect(pageScript).not.toMatch(
    /innerHTML|insertAdjacent|document\.write|eval|Function|fetch|XMLHttp|import|cookie|Storage/,
  )
})

test.each([
  '/auth/page',
  '/auth/redirect',
  '/auth/error',
  '/auth/nowhere',
  '/auth/%zz',
  '/auth/page?a=1&a=2',
  '/%61uth/page',
])('[H9] every answer carries the headers: %s', async (url) => {
  const app = createServer({ logger })
  app.get('/auth/page', (_request, reply) => sendPage(reply, 200, problemPage('completed')))
  app.get('/auth/redirect', (_request, reply) => reply.redirect('https://app.example/done', 303))
  app.get('/auth/error', async () => {
    throw new Error('inside')
  })
  const { headers } = await app.inject(url)
  expect(headers).toMatchObject({
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  })
})

test('[H9] a page whose form ends elsewhere widens form-action and nothing else', async () => {
  const app = createServer({ logger })
  app.get('/auth/page', (_request, reply) =>
    sendPage(reply, 200, problemPage('completed'), { formAction: "'self' https:" }),
  )
  const { headers } = await app.inject('/auth/page')
  expect(headers['content-security-policy']).toContain(
    "form-action 'self' https:; base-uri 'none'; frame-ancestors 'none'",
  )
})
