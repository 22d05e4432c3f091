import { expect, test } from 'vitest'
import { createTestTiming } from '../test/scripted-nexus.ts'
import { createCredentialCache } from './credential-cache.ts'
import type { Credential } from './types.ts'

const token = (accessToken: string): Credential => ({
  strategy: { type: 'oauth2' },
  provider: 'acme',
  providerId: '0198a1b2-0000-7000-8000-00000000000a',
  credentials: { access_token: accessToken, token_type: 'Bearer', expires_at: null },
  accessToken,
  expiresIn: 600,
})

/** Reads that are answered one by one, when the test says so. */
function createSource() {
  const reads: ((credential: Credential) => void)[] = []
  return {
    reads,
    read: () => new Promise<Credential>((resolve) => void reads.push(resolve)),
    refresh: async () => token('refreshed'),
  }
}

test('a read that began before a renewal and ends after it does not bring the old token back', async () => {
  const timing = createTestTiming()
  const source = createSource()
  const cache = createCredentialCache(source, timing, 60_000)
  const first = cache.get()
  source.reads[0]?.(token('old'))
  const refused = await first

  timing.advance(600_000)
  const late = cache.get()
  expect((await cache.renew(refused))?.credential.accessToken).toBe('refreshed')
  source.reads[1]?.(token('old'))

  expect((await late).credential.accessToken).toBe('refreshed')
  expect((await cache.get()).credential.accessToken).toBe('refreshed')
  expect(source.reads).toHaveLength(2)
})

test('who asks while a renewal is under way waits for it', async () => {
  const source = createSource()
  const cache = createCredentialCache(source, createTestTiming(), 60_000)
  const first = cache.get()
  source.reads[0]?.(token('old'))
  const refused = await first
  const [renewed, asked] = await Promise.all([cache.renew(refused), cache.get()])
  expect(asked).toBe(renewed)
  expect(source.reads).toHaveLength(1)
})

test('who has given up before starts nothing', async () => {
  const source = createSource()
  const cache = createCredentialCache(source, createTestTiming(), 60_000)
  const reason = new Error('given up')
  await expect(cache.get(AbortSignal.abort(reason))).rejects.toBe(reason)
  expect(source.reads).toHaveLength(0)
})
