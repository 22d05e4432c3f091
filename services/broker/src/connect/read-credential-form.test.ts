import { expect, test } from 'vitest'
import { makeField } from '../../test/view-samples.ts'
import { readCredentialForm } from './read-credential-form.ts'

const fields = [
  makeField({ name: 'text' }),
  makeField({ name: 'secret', isSecret: true }),
  makeField({ name: 'count', type: 'integer' }),
  makeField({ name: 'box', type: 'boolean' }),
  makeField({
    name: 'choice',
    options: [
      { value: 1, label: 'One' },
      { value: '2', label: 'Two' },
    ],
  }),
]

function read(sent: Record<string, string>, keepsSpaces?: string) {
  const form = Object.fromEntries(Object.entries(sent).map(([name, value]) => [`credentials[${name}]`, value]))
  return readCredentialForm(fields, { state: 's', ...form }, { keepsSpaces })
}

test('each field becomes a value of its type', () => {
  const sent = { text: 'a', secret: 'b', count: '-12', box: 'true', choice: '1' }
  expect(read(sent)).toEqual({ values: { text: 'a', secret: 'b', count: -12, box: true, choice: 1 }, faults: [] })
  expect(read({ choice: '2' }).values).toEqual({ choice: '2', box: false })
})

test('what was left empty is left out, and a box that was not ticked says no', () => {
  expect(read({ text: '', secret: ' ', count: ' ', choice: '' }).values).toEqual({ box: false })
})

test('what is no number or no option stays as it came, for the schema to refuse', () => {
  for (const count of ['twelve', '0x10', '1,5', 'NaN', 'Infinity', '1 2'])
    expect(read({ count }).values).toMatchObject({ count })
  expect(read({ count: '1.5' }).values).toMatchObject({ count: 1.5 })
  expect(read({ choice: 'three' }).values).toMatchObject({ choice: 'three' })
})

test('[C6] what only begins like a number takes no time to speak of, as long as a form may be', () => {
  for (const count of [
    `${'1'.repeat(65_000)}x`,
    `${'1'.repeat(32_000)}.${'1'.repeat(32_000)}x`,
    `.${'1'.repeat(65_000)}x`,
  ]) {
    const started = performance.now()
    expect(read({ count }).values).toMatchObject({ count })
    expect(performance.now() - started).toBeLessThan(500)
  }
})

test('blanks around what was pasted are dropped, save in a password that may have them', () => {
  expect(read({ text: ' a ', secret: ' b\n' }).values).toMatchObject({ text: 'a', secret: 'b' })
  expect(read({ text: ' a ', secret: ' b ' }, 'secret').values).toMatchObject({ text: 'a', secret: ' b ' })
})

test.each(['__proto__', 'constructor', 'other', 'x'.repeat(64)])(
  'a name that the form does not have is a fault: %s',
  (name) => {
    const { values, faults } = read({ [name]: 'x', text: 'a' })
    expect(faults).toEqual([{ field: name, rule: 'additionalProperties' }])
    expect(values).toEqual({ text: 'a', box: false })
    expect(Object.getPrototypeOf(values)).toBe(Object.prototype)
  },
)

test('[C6] of ever so many names that the form does not have some are told', () => {
  const { faults } = read(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`x${index}`, ''])))
  expect(faults.length).toBeGreaterThan(50)
  expect(faults.length).toBeLessThan(1_000)
})

test('names outside credentials are faults too, and long ones are cut', () => {
  const { faults } = readCredentialForm(
    fields,
    { text: 'a', [`credentials[${'x'.repeat(100)}]`]: '' },
    { keepsSpaces: undefined },
  )
  expect(faults.map(({ field }) => field)).toEqual(['text', 'x'.repeat(64)])
})
