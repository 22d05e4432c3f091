import { englishTexts } from '@nexus/service'
import { expect, test } from 'vitest'
import { makeField, squash } from '../../test/view-samples.ts'
import { compileSchemaOf } from '../providers/credential-schema.ts'
import { drawField } from './field-view.ts'

const draw = (field: Parameters<typeof makeField>[0], fault?: string) =>
  squash(drawField(makeField(field), fault, englishTexts.form).markup)

test('a text field has its label, its help read out with it, and no memory in the browser', () => {
  const markup = draw({ name: 'user', label: 'User name', help: 'As you sign in', placeholder: 'ada', minLength: 3 })
  expect(markup).toContain('<label for="field-user"><bdi>User name</bdi></label>')
  expect(markup).toContain('<p class="hint" id="field-user-help"><bdi>As you sign in</bdi></p>')
  for (const attribute of [
    'type="text"',
    'id="field-user"',
    'name="credentials[user]"',
    ' required',
    'aria-describedby="field-user-help"',
    'autocomplete="off"',
    'autocapitalize="none"',
    'spellcheck="false"',
    'minlength="3"',
    'placeholder="ada"',
  ]) {
    expect.soft(markup).toContain(attribute)
  }
})

test.each([false, true])('what is pasted is never cut: no field has a maxlength (secret: %s)', (isSecret) => {
  const markup = draw({ maxLength: 10, isSecret })
  expect(markup).toContain('<input')
  expect(markup).not.toContain('maxlength')
})

test('a secret is dots, with a hidden button that only the script can show; its default is not in the page', () => {
  const markup = draw({ name: 'key', label: 'API key', isSecret: true, initial: 'the-default' })
  expect(markup).toContain('type="password"')
  expect(markup).toMatch(/<button type="button" class="quiet" hidden [^>]*data-reveals="field-key"/)
  expect(markup).toContain('aria-label="Show: API key"')
  expect(markup).not.toContain('the-default')
})

test('what need not be given says so', () => {
  expect(draw({ isRequired: false })).toContain('<span class="mark">(optional)</span>')
  expect(draw({ isRequired: false })).not.toContain(' required')
  expect(draw({ isRequired: true, mayBeEmpty: true })).not.toContain(' required')
  expect(draw({ isRequired: true })).not.toContain('class="mark"')
  expect(draw({ isRequired: false, type: 'boolean' })).not.toContain('class="mark"')
})

test('a fault stands beside its field and is read out with it', () => {
  const markup = draw({ name: 'key', help: 'Help' }, 'This is needed')
  expect(markup).toContain('<p class="problem" id="field-key-fault">This is needed</p>')
  expect(markup).toContain('aria-describedby="field-key-help field-key-fault" aria-invalid="true"')
  expect(draw({})).not.toContain('aria-')
})

test('a number has its limits and the keyboard for it', () => {
  const integer = draw({ type: 'integer', minimum: 1, maximum: 65_535, initial: 443 })
  expect(integer).toContain('type="number" inputmode="numeric" step="1"')
  expect(integer).toContain('min="1" max="65535"')
  expect(integer).toContain('value="443"')
  expect(draw({ type: 'number', minimum: 0 })).toContain('inputmode="decimal" step="any"')
  // 0 is a limit and a value
  expect(draw({ type: 'number', minimum: 0, initial: 0 })).toMatch(/min="0".* value="0"/)
})

test('a choice is a list that begins with none, or with its default', () => {
  const options = [
    { value: 'eu', label: 'Europe' },
    { value: 2, label: 'Two' },
  ]
  const chosen = draw({ options, initial: 2 })
  expect(chosen).toMatch(/<select id="field-key" name="credentials\[key\]" required[^>]*>/)
  expect(chosen).toContain('<option value="">Choose one</option>')
  expect(chosen).toContain('<option value="eu" >Europe</option>')
  expect(chosen).toContain('<option value="2" selected>Two</option>')
  expect(draw({ options, isRequired: false })).toContain('<option value="">None</option>')
})

test('yes or no is a box, ticked by default where the schema says so, and never demanded by the browser', () => {
  expect(draw({ type: 'boolean', initial: true })).toMatch(/<input type="checkbox" value="true" [^>]* checked \/>/)
  expect(draw({ type: 'boolean' })).not.toMatch(/ checked| required/)
})

test('a schema becomes a form: types, titles, help, limits, choices, defaults and examples', () => {
  const credentialSchema = {
    type: 'object',
    required: ['key', 'region'],
    properties: {
      key: { type: 'string', title: 'Key', description: 'From the console', writeOnly: true, examples: ['k-1'] },
      region: { type: 'string', oneOf: [{ const: 'eu', title: 'Europe' }], default: 'eu' },
      port: { type: 'integer', minimum: 1, maximum: 9, default: 7 },
      live: { type: 'boolean', default: true },
    },
  }
  const strategy = { type: 'header', config: { credential_field: 'key' } } as const
  const drawn = compileSchemaOf({ name: 'test', credentialSchema, strategy }).fields.map((field) =>
    squash(drawField(field, undefined, englishTexts.form).markup),
  )
  const [key, region, port, live] = drawn
  expect(drawn).toHaveLength(4)
  expect(key).toMatch(/<bdi>Key<\/bdi>.*From the console.*type="password".* required.*placeholder="k-1"/)
  expect(region).toMatch(/<bdi>region<\/bdi>.*<option value="eu" selected>Europe<\/option>/)
  expect(port).toMatch(/\(optional\).*type="number" inputmode="numeric".*min="1" max="9" value="7"/)
  expect(live).toMatch(/type="checkbox".* checked/)
})
