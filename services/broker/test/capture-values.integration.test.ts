import { expect } from 'vitest'
import { capture, requestStatic } from './capture-scene.ts'
import { auditOf, connectionOf, send, test } from './handshake-scene.ts'

const wide = {
  credential_schema: {
    type: 'object',
    required: ['api_key', 'region'],
    properties: {
      api_key: { type: 'string', title: 'Key', minLength: 8, maxLength: 40 },
      region: { type: 'string', enum: ['eu', 'us'] },
      port: { type: 'integer', minimum: 1, maximum: 65_535 },
      live: { type: 'boolean' },
    },
  },
}

test('values that do not fit are refused field by field, and no value is repeated', async ({ broker }) => {
  const { state, connection_id } = await requestStatic(broker, { params: wide })
  const good = { api_key: 'canary-canary', region: 'eu' }
  const faulty: readonly (readonly [Record<string, unknown>, string, string])[] = [
    [{ region: 'eu' }, 'api_key', 'required'],
    [{ ...good, api_key: 'canary' }, 'api_key', 'minLength'],
    [{ ...good, api_key: 'canary'.repeat(10) }, 'api_key', 'maxLength'],
    [{ ...good, api_key: 12_345_678 }, 'api_key', 'type'],
    [{ ...good, api_key: ['canary-canary'] }, 'api_key', 'type'],
    [{ ...good, api_key: { canary: 1 } }, 'api_key', 'type'],
    [{ ...good, region: 'canary' }, 'region', 'enum'],
    [{ ...good, port: 0 }, 'port', 'minimum'],
    [{ ...good, port: 70_000 }, 'port', 'maximum'],
    [{ ...good, surprise: 'canary' }, 'surprise', 'additionalProperties'],
    [{ ...good, api_key: 'canary\r\nx-injected: 1' }, 'api_key', 'single_line'],
    [{ ...good, api_key: 'canary-\0-canary' }, 'api_key', 'single_line'],
  ]
  for (const [credentials, field, rule] of faulty) {
    const { status, body, text } = await capture(broker, state, credentials)
    const what = `${field} ${rule}`
    expect.soft([status, body.code], what).toEqual([422, 'invalid_credentials'])
    expect.soft(body.details?.fields, what).toContainEqual({ field, rule, message: expect.any(String) })
    expect.soft(body.message, what).toMatch(new RegExp(`^${body.details?.fields?.[0]?.field}: .`))
    expect.soft(text, what).not.toContain('canary')
  }
  const { body } = await capture(broker, state, {})
  expect(body.details?.fields?.map((fault) => fault.field)).toEqual(['api_key', 'region'])
  expect(body.message).toBe('api_key: is missing')
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
  expect(await auditOf(broker, connection_id)).toContain('credential_refused invalid_credentials')
  expect((await capture(broker, state, { ...good, port: 443, live: true })).status).toBe(200)
  expect((await broker.get(`/connections/${connection_id}/token`)).body).toMatchObject({
    credentials: { ...good, port: 443, live: true },
  })
})

test('[C5] what is no proper JSON document, or too much of one, is refused before anything else', async ({
  broker,
}) => {
  const { state, connection_id } = await requestStatic(broker)
  const around = (credentials: string): string => `{"state":"${state}","credentials":${credentials}}`
  const json = 'application/json'
  const bodies: readonly (readonly [string, string, number, string])[] = [
    [around('{"__proto__":{"api_key":"canary-key"}}'), json, 400, 'invalid_request'],
    [around('{"constructor":"canary-key"}'), json, 400, 'invalid_request'],
    [around('{"api_key":"canary-key","api_key":"canary-key-2"}'), json, 400, 'invalid_request'],
    [around(`${'['.repeat(40)}${']'.repeat(40)}`), json, 400, 'invalid_request'],
    [around('{"api_key":"canary-key"'), json, 400, 'invalid_request'],
    [around('["canary-key"]'), json, 400, 'invalid_request'],
    [around('null'), json, 400, 'invalid_request'],
    [`{"state":"${state}"}`, json, 400, 'invalid_request'],
    [`{"state":"${state}","credentials":{},"more":"canary"}`, json, 400, 'invalid_request'],
    ['', json, 400, 'invalid_request'],
    [around(`{"api_key":"${'canary'.repeat(11_000)}"}`), json, 413, 'body_too_large'],
    [
      new URLSearchParams({ state, api_key: 'canary-key' }).toString(),
      'application/x-www-form-urlencoded',
      415,
      'unsupported_media_type',
    ],
    [around('{}'), 'text/plain', 415, 'unsupported_media_type'],
  ]
  for (const [body, type, status, code] of bodies) {
    const headers = { 'content-type': type, accept: 'text/html' }
    const answer = await send(`${broker.url}/auth/capture-credential`, { method: 'POST', headers, body })
    expect.soft([answer.status, JSON.parse(answer.text).code], body.slice(0, 60)).toEqual([status, code])
    expect.soft(answer.text).not.toContain('canary')
  }
  const twice = await broker.get(`/auth/capture-schema?state=${state}&state=${state}`, { key: undefined })
  expect(twice).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
  expect(broker.logs.text()).not.toContain('canary')
})
