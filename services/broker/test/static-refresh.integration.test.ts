import { expect } from 'vitest'
import { apiKey, openPageFor, registerStatic, submitPage } from './connect-scene.ts'
import { tokenRow } from './database-tools.ts'
import { auditOf, test } from './handshake-scene.ts'
import { readToken } from './harness.ts'

test('what a person typed in cannot be refreshed: that is said, recorded, and changes nothing', async ({
  broker,
  database,
}) => {
  const opened = await openPageFor(broker, await registerStatic(broker))
  await submitPage(opened, { 'credentials[api_key]': apiKey })
  const before = await tokenRow(database.pool, opened.connection_id)

  const answer = await broker.post(`/connections/${opened.connection_id}/refresh`)

  expect(answer).toMatchObject({ status: 400, body: { code: 'static_credential' } })
  expect(answer.text).not.toContain(apiKey)
  expect(await tokenRow(database.pool, opened.connection_id)).toEqual(before)
  expect(await auditOf(broker, opened.connection_id)).toContain('token_retrieval_failed static_credential')
  expect((await readToken(broker, opened.connection_id)).body).toMatchObject({ credentials: { api_key: apiKey } })
})
