import { type SafeHtml, englishTexts } from '@nexus/service'
import { expect, test } from 'vitest'
import { hostileTexts, makeField, makeRequest, squash } from '../../test/view-samples.ts'
import { confirmPage } from './confirm-page.ts'
import { type CredentialFormModel, credentialFormPage } from './credential-form.ts'

const form = (more: Partial<CredentialFormModel> = {}): SafeHtml =>
  credentialFormPage(
    { ...makeRequest(), fields: [makeField({ label: 'API key', isSecret: true })], ...more },
    englishTexts,
  )

/** What is read, without the markup. */
function wordsOf({ markup }: SafeHtml): string {
  return squash(markup.replaceAll(/<[^>]*>/g, ''))
}

test('the form says who asks, for what, what becomes of it, and where it ends', () => {
  const page = form({ providerDescription: 'Payments' })
  const words = wordsOf(page)
  for (const sentence of [
    'Connect stripe',
    'Payments',
    'Acme asks to use your stripe account.',
    'It will use what you enter here to work with stripe for you, until you disconnect it.',
    'You will return to app.example.com.',
    'If you did not start this, close this page.',
  ]) {
    expect.soft(words).toContain(sentence)
  }
  expect(squash(page.markup)).toContain('<form method="post" action="/auth/connect/the-ticket" autocomplete="off">')
  expect(page.markup).toContain('<input type="hidden" name="state" value="the-state" />')
})

test('where app and way back are not known, the page still says what it can', () => {
  const words = wordsOf(form({ brand: { appName: undefined, hasLogo: false }, returnUrl: undefined }))
  expect(words).toContain('The app you came from asks to use your stripe account.')
  expect(words).toContain('When this is done, go back to the app.')
})

test('only the host of the way back is shown, its port where it is unusual, foreign letters as xn--', () => {
  const shown = (returnUrl: string) => /You will return to (\S+)\. /.exec(wordsOf(form({ returnUrl })))?.[1]
  expect(shown('https://app.example.com:443/path?token=secret')).toBe('app.example.com')
  expect(shown('http://127.0.0.1:8080/')).toBe('127.0.0.1:8080')
  // a Cyrillic а
  expect(shown('https://\u0430pple.com/')).toBe('xn--pple-43d.com')
})

test('a refused form lists its faults in order, each leading to its field, and takes the focus', () => {
  const fields = [makeField({ name: 'a', label: 'First' }), makeField({ name: 'b', label: 'Second', type: 'integer' })]
  const refusal = {
    kind: 'faults',
    faults: [
      { field: 'a', rule: 'required' },
      { field: 'a', rule: 'pattern' },
      { field: 'b', rule: 'type' },
      { field: '__proto__', rule: 'additionalProperties' },
    ],
  } as const
  const page = squash(form({ fields, refusal }).markup)
  expect(page).toContain('<title>Problem: Connect stripe</title>')
  expect(page).toMatch(/<div class="problems" role="alert" [^>]*tabindex="-1" autofocus data-focus>/)
  expect(page).toContain('<a href="#field-a"><bdi>First</bdi>: This is needed</a>')
  expect(page).toContain('<a href="#field-b"><bdi>Second</bdi>: Enter a whole number, such as 12</a>')
  expect(page).toContain('<li><bdi>__proto__</bdi>: This was not accepted</li>')
  expect(page.match(/<li>/g)).toHaveLength(3)
  expect(page).toContain(englishTexts.form.enterAgain)
  expect(page.match(/aria-invalid/g)).toHaveLength(2)
})

test('credentials that the provider refuses are no fault of a field', () => {
  const page = form({ refusal: { kind: 'not_accepted' } })
  expect(wordsOf(page)).toContain('stripe did not accept what you entered. Check it, then enter it again.')
  expect(page.markup).not.toContain('aria-invalid')
  expect(wordsOf(form({ refusal: { kind: 'not_verifiable' } }))).toContain('stripe could not be asked')
})

test('before a sign-in the page says for what, in the words of the standard or as it is written', () => {
  const scopes = ['email', 'https://api.example/files.readonly', 'constructor']
  const page = confirmPage({ ...makeRequest({ providerName: 'google' }), scopes }, englishTexts)
  expect(wordsOf(page)).toContain('Acme asks to use your google account for:')
  expect(squash(page.markup)).toContain('<li>See your email address <code dir="ltr">email</code></li>')
  expect(squash(page.markup)).toContain('<li><code dir="ltr">https://api.example/files.readonly</code></li>')
  expect(squash(page.markup)).toContain('<li><code dir="ltr">constructor</code></li>')
  expect(wordsOf(page)).toContain('You will return to app.example.com.')
})

test('without scopes there is no empty list', () => {
  const page = confirmPage({ ...makeRequest(), scopes: [] }, englishTexts)
  expect(wordsOf(page)).toContain('Acme asks to use your stripe account.')
  expect(page.markup).not.toContain('<ul')
})

test.each(hostileTexts)('wherever it stands, %s is text', (hostile) => {
  const request = makeRequest({
    brand: { appName: hostile, hasLogo: true },
    providerName: hostile,
    providerDescription: hostile,
    state: hostile,
    action: hostile,
  })
  const texts = { label: hostile, help: hostile, placeholder: hostile, initial: hostile }
  const fields = [
    makeField(texts),
    makeField({ ...texts, name: 'secret', isSecret: true }),
    makeField({ ...texts, name: 'choice', options: [{ value: hostile, label: hostile }] }),
    makeField({ ...texts, name: 'number', type: 'number' }),
    makeField({ ...texts, name: 'box', type: 'boolean' }),
  ]
  const refusal = { kind: 'faults', faults: [{ field: hostile, rule: hostile }] } as const
  const drawn = [
    credentialFormPage({ ...request, fields, refusal }, englishTexts),
    credentialFormPage({ ...request, fields, refusal: { kind: 'not_accepted' } }, englishTexts),
    confirmPage({ ...request, scopes: [hostile] }, englishTexts),
  ]
  for (const page of drawn) expect(structureOf(page)).toEqual(structureOf(withHarmlessTexts(page, hostile)))
})

/** Tags and the names of their attributes, in order: all that a browser would build. */
function structureOf({ markup }: Pick<SafeHtml, 'markup'>): readonly string[] {
  return [...markup.matchAll(/<(\/?[a-z!][^\s>]*)((?:[^">]|"[^"]*")*)>/gi)].map(
    ([, tag, attributes = '']) =>
      `${tag} ${[...attributes.replaceAll(/"[^"]*"/g, '').matchAll(/[^\s=/]+/g)].join(' ')}`,
  )
}

function withHarmlessTexts({ markup }: SafeHtml, hostile: string): { readonly markup: string } {
  const escaped = hostile
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
  expect(markup).toContain(escaped)
  return { markup: markup.replaceAll(escaped, 'harmless') }
}
