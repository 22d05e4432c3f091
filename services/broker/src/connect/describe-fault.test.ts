import { englishTexts } from '@nexus/service'
import { expect, test } from 'vitest'
import { makeField } from '../../test/view-samples.ts'
import { describeFault } from './describe-fault.ts'

test.each([
  [{ rule: 'required' }, 'This is needed'],
  [{ rule: 'minLength', limit: 1 }, 'This is needed'],
  [{ rule: 'minLength', limit: 20 }, 'This is too short: enter at least 20 characters'],
  [{ rule: 'maxLength', limit: 40 }, 'This is too long: enter at most 40 characters'],
  [{ rule: 'minimum', limit: 1 }, 'Enter 1 or more'],
  [{ rule: 'exclusiveMinimum', limit: 0 }, 'Enter more than 0'],
  [{ rule: 'maximum', limit: 9 }, 'Enter 9 or less'],
  [{ rule: 'exclusiveMaximum', limit: 9 }, 'Enter less than 9'],
  [{ rule: 'enum' }, 'Choose one of the options'],
  [{ rule: 'oneOf' }, 'Choose one of the options'],
  [{ rule: 'type' }, 'Enter a whole number, such as 12'],
  [{ rule: 'a keyword of the future' }, 'This was not accepted'],
] as const)('the fault %j reads: %s', (fault, words) => {
  expect(describeFault({ field: 'key', ...fault }, makeField({ type: 'integer' }), englishTexts.form.faults)).toBe(
    words,
  )
})

test('a choice that was not made asks for one', () => {
  const field = makeField({ options: [{ value: 'eu', label: 'Europe' }] })
  const fault = { field: 'key', rule: 'required' }
  expect(describeFault(fault, field, englishTexts.form.faults)).toBe('Choose one of the options')
})
