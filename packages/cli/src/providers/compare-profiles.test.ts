import { expect, test } from 'vitest'
import { compareProfiles, listFields } from './compare-profiles.ts'

test('only what differs is told, by its path and in the order of the fields', () => {
  const before = {
    name: 'a',
    scopes: ['r'],
    aliases: [],
    description: 'x',
    params: { prompt: 'login', token_params: {} },
  }
  const after = {
    name: 'a',
    scopes: ['r', 'w'],
    aliases: ['b'],
    params: { prompt: 'none', audience: 'q', token_params: {} },
  }
  expect(compareProfiles(before, after)).toEqual([
    { sign: '~', field: 'scopes', before: ['r'], after: ['r', 'w'] },
    { sign: '+', field: 'aliases', before: undefined, after: ['b'] },
    { sign: '~', field: 'params.prompt', before: 'login', after: 'none' },
    { sign: '+', field: 'params.audience', before: undefined, after: 'q' },
    { sign: '-', field: 'description', before: 'x', after: undefined },
  ])
})

test('another client, or another redirect URI, is what people notice', () => {
  const changes = compareProfiles({ client_id: 'a', redirect_uri: 'x' }, { client_id: 'b', redirect_uri: 'y' })
  expect(changes.map(({ sign }) => sign)).toEqual(['!', '!'])
})

test('what follows from a save is no difference, nor is the order of fields within one', () => {
  const before = { id: '1', revision: 1, alarm: null, updated_at: 'a', credential_schema: { oneOf: [{ a: 1, b: 2 }] } }
  const after = { id: '2', revision: 2, updated_at: 'b', credential_schema: { oneOf: [{ b: 2, a: 1 }] } }
  expect(compareProfiles(before, after)).toEqual([])
})

test('false and 0 are values; null and an empty list are none', () => {
  expect(compareProfiles({ a: null, b: [] }, { a: false, b: 0 })).toMatchObject([
    { sign: '+', field: 'a', after: false },
    { sign: '+', field: 'b', after: 0 },
  ])
})

test('what is named like a secret is not shown, wherever it stands', () => {
  const shown = JSON.stringify(
    listFields({ client_secret: 'canary', params: { token_params: { password: 'canary' } } }),
  )
  expect(shown).not.toContain('canary')
  expect(shown).toContain('client_secret')
})
