import { readFileSync } from 'node:fs'
import type { ProviderProfile } from '@nexus/contracts'
import { expect } from 'vitest'
import { test } from './handshake-scene.ts'
import { startTestBroker } from './harness.ts'

const page = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8')
const section = /^## API keys, passwords and AWS keys$(.*?)^## /ms.exec(page)?.[1] ?? ''
const examples = Array.from(section.matchAll(/<<'JSON'\n(.*?)\nJSON$/gms), ([, json = '']) => json)

test('every profile of static credentials in docs/providers.md is accepted as it stands', async ({ database }) => {
  await using broker = await startTestBroker(database, { env: { ALLOW_PRIVATE_NETWORKS: 'false' } })
  const kinds = new Set<string>()
  for (const example of examples) {
    const profile: Record<string, unknown> = JSON.parse(example)
    const saved = await broker.post<{ id: string; message: string }>('/providers', profile)
    expect(saved.status, `${example} ${saved.body.message}`).toBe(201)
    const read = await broker.get<ProviderProfile>(`/providers/${saved.body.id}`)
    kinds.add(String(read.body.auth_type))
  }
  expect([...kinds].toSorted()).toEqual(['api_key', 'aws_sigv4', 'basic_auth', 'hmac_payload', 'query_param'])
})
