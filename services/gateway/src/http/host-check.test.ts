import { expect, test } from 'vitest'
import { isLocalName } from './host-check.ts'

const allowed = new Set(['nexus.internal.example'])

test.each([
  '127.0.0.1',
  '[::1]',
  '10.0.0.7',
  'localhost',
  'LOCALHOST',
  'nexus.localhost',
  'gateway',
  'Nexus.Internal.Example',
])('%s cannot be a page that was rebound', (name) => {
  expect(isLocalName(name, allowed)).toBe(true)
})

test.each([
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  'gateway.',
  '',
  'nexus.internal.example.evil',
  'a@b',
  'localhost.',
])('%j could be one', (name) => {
  expect(isLocalName(name, allowed)).toBe(false)
})
