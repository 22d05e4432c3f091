import { expect, test } from 'vitest'
import { isFromOwnOrigin } from './same-origin.ts'

const baseUrl = 'https://nexus.example'

test.each([
  {},
  { origin: 'null' },
  { origin: baseUrl },
  { origin: 'null', 'sec-fetch-site': 'same-origin' },
  { origin: baseUrl, 'sec-fetch-site': 'none' },
])('a form of our own passes: %j', (headers) => {
  expect(isFromOwnOrigin(headers, baseUrl)).toBe(true)
})

test.each([
  { origin: 'https://evil.example' },
  { origin: 'http://nexus.example' },
  { origin: 'https://nexus.example:8443' },
  { origin: 'https://nexus.example.evil.example' },
  { origin: 'null', 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
])('a form from elsewhere does not: %j', (headers) => {
  expect(isFromOwnOrigin(headers, baseUrl)).toBe(false)
})
