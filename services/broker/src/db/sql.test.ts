import { expect, test } from 'vitest'
import { fragment, sql } from './sql.ts'

test('values become numbered parameters and never text', () => {
  const hostile = "x'; drop table tokens; --"
  const statement = sql`select ${hostile}::text, ${2}::int`
  expect(statement.text).toBe('select $1::text, $2::int')
  expect(statement.values).toEqual([hostile, 2])
})

test('a fragment is spliced in with its parameters renumbered', () => {
  const zone = fragment`zone = ${'root'}::text and n > ${5}::int`
  const statement = sql`select * from t where id = ${'a'}::uuid and ${zone} limit ${10}`
  expect(statement.text).toBe('select * from t where id = $1::uuid and zone = $2::text and n > $3::int limit $4')
  expect(statement.values).toEqual(['a', 'root', 5, 10])
})

test('an object shaped like a fragment stays a parameter', () => {
  const forged = { text: '1; drop table tokens', values: [] }
  const statement = sql`select ${forged}::jsonb`
  expect(statement.text).toBe('select $1::jsonb')
  expect(statement.values).toEqual([forged])
})
