import type { ProviderProfile } from '@nexus/contracts'
import { expect } from 'vitest'
import { capture, goodKey, registerStatic, requestStatic, startApi, triedAt } from './capture-scene.ts'
import { openPageFor, submitPage } from './connect-scene.ts'
import { returned, test } from './handshake-scene.ts'
import { type Client, clientSecret, readToken } from './harness.ts'

type Fields = Readonly<Record<string, unknown>>

let made = 0

function save(broker: Client, profile: Fields) {
  made += 1
  return broker.post<{ id: string; code?: string; details?: { field: string } }>('/providers', {
    name: `typed-${made}`,
    ...profile,
  })
}

const withSchema = (properties: Fields, more: Fields = {}) => ({
  auth_type: 'header',
  params: { credential_schema: { type: 'object', required: ['api_key'], properties, ...more } },
})
const key = { type: 'string' }
const withKey = (property: Fields) => withSchema({ api_key: { ...key, ...property } })
const at = (place: string) => `params.credential_schema${place}`
const withPort = (property: Fields) => withSchema({ api_key: key, port: { type: 'integer', ...property } })
const portAt = (keyword: string) => at(`.properties.port${keyword}`)
const keyAt = (keyword: string) => at(`.properties.api_key${keyword}`)

const refused: readonly (readonly [name: string, profile: Fields, field: string])[] = [
  ['a client id', { auth_type: 'header', client_id: 'x' }, 'client_id'],
  ['a client secret', { auth_type: 'header', client_secret: clientSecret }, 'client_secret'],
  ['scopes', { auth_type: 'header', scopes: ['a'] }, 'scopes'],
  ['a question that the form is itself', { auth_type: 'header', confirm: true }, 'confirm'],
  ['an authorization parameter', { auth_type: 'header', params: { audience: 'x' } }, 'params.audience'],
  ['a knob of OAuth', { auth_type: 'header', params: { skip_scope_on_auth: true } }, 'params.skip_scope_on_auth'],
  ['a query parameter without a name', { auth_type: 'query_param' }, 'params.param_name'],
  ['a signature without a header', { auth_type: 'hmac_payload' }, 'params.header_name'],
  ['a signature without a service', { auth_type: 'aws_sigv4' }, 'params.service'],
  ['a header that is two', { auth_type: 'header', params: { header_name: 'X-A\r\nX-B' } }, 'params.header_name'],
  ['the header that says where to', { auth_type: 'header', params: { header_name: 'Host' } }, 'params.header_name'],
  ['a prefix with a line break', { auth_type: 'header', params: { value_prefix: 'a\nb' } }, 'params.value_prefix'],
  [
    'an algorithm nobody has',
    { auth_type: 'hmac_payload', params: { header_name: 'X-S', algorithm: 'md5' } },
    'params.algorithm',
  ],
  [
    'a strategy of another kind',
    { auth_type: 'header', params: { auth_strategy: { type: 'basic_auth', config: {} } } },
    'params.auth_strategy.type',
  ],
  [
    'a strategy in two places',
    { auth_type: 'header', params: { header_name: 'X-A', auth_strategy: { type: 'header', config: {} } } },
    'params.header_name',
  ],
  [
    'a strategy that says too much',
    { auth_type: 'header', params: { auth_strategy: { type: 'header', config: { param_name: 'a' } } } },
    'params.auth_strategy.config.param_name',
  ],
  ['a field that is not asked for', withSchema({ other: key }, { required: ['other'] }), 'params.credential_schema'],
  ['a field that may be left out', withSchema({ api_key: key }, { required: [] }), 'params.credential_schema'],
  ['a key that is a number', withSchema({ api_key: { type: 'integer' } }), keyAt('.type')],
  ['a schema of something else', withSchema({ api_key: key }, { type: 'array' }), at('.type')],
  ['no fields', withSchema({}), at('.properties')],
  ['a field of fields', withKey({ type: 'object' }), keyAt('.type')],
  ['a list', withKey({ type: 'array' }), keyAt('.type')],
  ['a reference', withSchema({ api_key: { type: 'string', $ref: 'https://a.example/s' } }), keyAt('.$ref')],
  ['a definition', withSchema({ api_key: key }, { $defs: {} }), at('.$defs')],
  ['what can never be filled in', withSchema({ api_key: key }, { not: {} }), at('.not')],
  ['what nobody is asked', withSchema({ api_key: key }, { required: ['api_key', 'b'] }), at('.required')],
  ['whatever else', withSchema({ api_key: key }, { additionalProperties: true }), at('.additionalProperties')],
  ['a name with a blank', withSchema({ api_key: key, 'a b': key }), at('.properties.a b')],
  ['the name of a prototype', withSchema({ api_key: key, prototype: key }), at('.properties.prototype')],
  ['the name of a master secret', withSchema({ api_key: key, refresh_token: key }), at('.properties.refresh_token')],
  [
    'a client secret by another case',
    withSchema({ api_key: key, Client_Secret: key }),
    at('.properties.Client_Secret'),
  ],
  ['a pattern that is none', withKey({ pattern: '(' }), keyAt('.pattern')],
  ['a pattern that looks around', withKey({ pattern: '^(?=a)b' }), keyAt('.pattern')],
  ['a name that every object has', withSchema({ api_key: key, toString: key }), at('.properties.toString')],
  ['a setting that every object has', { auth_type: 'header', params: { toString: 'x' } }, 'params.toString'],
  ['limits that contradict each other', withKey({ minLength: 9, maxLength: 8 }), keyAt('.minLength')],
  ['a secret that everybody sees', withKey({ default: 'sk-1' }), keyAt('.default')],
  ['a choice that is refused', withKey({ enum: ['ab'], minLength: 3 }), keyAt('')],
  ['choices of two kinds', withKey({ enum: ['a'], oneOf: [{ const: 'b', title: 'B' }] }), keyAt('')],
  ['a format nobody checks', withKey({ format: 'email' }), keyAt('.format')],
  ['a length that is none', withKey({ minLength: -1 }), keyAt('.minLength')],
  ['a title that is no text', withKey({ title: 3 }), keyAt('.title')],
  ['what is required twice', withSchema({ api_key: key }, { required: ['api_key', 'api_key'] }), at('.required')],
  [
    'another dialect',
    withSchema({ api_key: key }, { $schema: 'http://json-schema.org/draft-07/schema#' }),
    at('.$schema'),
  ],
  [
    'the length of a number',
    withSchema({ api_key: key, port: { type: 'integer', maxLength: 3 } }),
    at('.properties.port.maxLength'),
  ],
  [
    'a secret that a form would show, as a number',
    withSchema({ api_key: key, pin: { type: 'integer', writeOnly: true } }),
    at('.properties.pin.writeOnly'),
  ],
  ['a length beyond what is taken', withKey({ minLength: 8193 }), keyAt('.minLength')],
  ['a longest length beyond what is taken', withKey({ maxLength: 8193 }), keyAt('.maxLength')],
  ['a list of types, even of one', withPort({ type: ['integer'] }), portAt('.type')],
  ['no whole number in between', withPort({ minimum: 0.2, maximum: 0.8 }), portAt('')],
  ['no whole number in between, the ends excluded', withPort({ exclusiveMinimum: 5, exclusiveMaximum: 6 }), portAt('')],
  ['nothing in between', withPort({ type: 'number', exclusiveMinimum: 5, maximum: 5 }), portAt('')],
  ['a number that is a password', withPort({ format: 'password' }), portAt('.format')],
  ['a text with a smallest value', withKey({ minimum: 1 }), keyAt('.minimum')],
  ['a pattern that browsers cannot read', withKey({ pattern: '(?i)^sk_' }), keyAt('.pattern')],
  [
    'a session token that is a number',
    {
      auth_type: 'aws_sigv4',
      params: {
        service: 's3',
        credential_schema: {
          type: 'object',
          required: ['access_key', 'secret_key'],
          properties: { access_key: key, secret_key: key, session_token: { type: 'integer' } },
        },
      },
    },
    at('.properties.session_token.type'),
  ],
  ['a secret that a form would show, as a choice', withKey({ enum: ['ab', 'cd'] }), keyAt('')],
  ['a pattern that takes too long', withKey({ pattern: '(?:(?:.?a?){30}){33}'.repeat(23) }), keyAt('.pattern')],
  ['a trial without which nothing is kept, nowhere', { auth_type: 'header', verify: 'required' }, 'verify'],
  [
    'a trial without which nothing is kept, at another origin',
    {
      auth_type: 'header',
      verify: 'required',
      api_base_url: 'http://127.0.0.1:9',
      user_info_endpoint: 'http://127.0.0.1:8/me',
    },
    'verify',
  ],
  [
    'a user name that is the password',
    { auth_type: 'basic_auth', params: { username_field: 'a', password_field: 'a' } },
    'params.password_field',
  ],
  [
    'a default that does not fit',
    withSchema({ api_key: key, port: { type: 'integer', maximum: 9, default: 10 } }),
    at('.properties.port.default'),
  ],
  ['a trial nowhere', { auth_type: 'header', user_info_endpoint: 'http://127.0.0.1:9/me' }, 'api_base_url'],
]

test.for(refused)('refused when saved, naming the field: %s', async ([, profile, field], { broker }) => {
  const answer = await save(broker, profile)
  expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_profile', details: { field } } })
})

test('__proto__ is refused before it reaches a schema', async ({ broker }) => {
  const body = '{"name":"proto","auth_type":"header","params":{"credential_schema":{"__proto__":{}}}}'
  const response = await fetch(`${broker.url}/providers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': broker.keys.ADMIN_API_KEY },
    body,
  })
  expect(response.status).toBe(400)
})

test('static fields are refused where people sign in', async ({ broker }) => {
  const oauth = { client_id: 'x', auth_url: 'http://127.0.0.1:9/a', token_url: 'http://127.0.0.1:9/t' }
  for (const [fields, field] of [
    [{ verify: 'off' }, 'verify'],
    [{ params: { credential_schema: {} } }, 'params.credential_schema'],
    [{ client_id: undefined }, 'client_id'],
  ] as const) {
    expect(await save(broker, { ...oauth, ...fields })).toMatchObject({ status: 422, body: { details: { field } } })
  }
})

const accepted: readonly (readonly [authType: string, params: Fields, strategy: Fields, fields: readonly string[]])[] =
  [
    [
      'api_key',
      { value_prefix: 'Bearer ' },
      {
        type: 'header',
        config: { header_name: 'Authorization', value_prefix: 'Bearer ', credential_field: 'api_key' },
      },
      ['api_key'],
    ],
    [
      'header',
      { header_name: 'X-Key', credential_field: 'token' },
      { type: 'header', config: { header_name: 'X-Key', credential_field: 'token' } },
      ['token'],
    ],
    [
      'query_param',
      { param_name: 'appid' },
      { type: 'query_param', config: { param_name: 'appid', credential_field: 'api_key' } },
      ['api_key'],
    ],
    [
      'basic_auth',
      {},
      { type: 'basic_auth', config: { username_field: 'username', password_field: 'password' } },
      ['username', 'password'],
    ],
    [
      'hmac_payload',
      { header_name: 'X-Signature' },
      {
        type: 'hmac_payload',
        config: { algorithm: 'sha256', header_name: 'X-Signature', encoding: 'hex', secret_field: 'secret' },
      },
      ['secret'],
    ],
    [
      'aws_sigv4',
      { auth_strategy: { type: 'aws_sigv4', config: { service: 's3' } } },
      { type: 'aws_sigv4', config: { service: 's3', region: 'us-east-1' } },
      ['access_key', 'secret_key', 'session_token'],
    ],
  ]

test.for(accepted)(
  '%s: the strategy gets its defaults, and what people are asked for follows from it',
  async ([authType, params, strategy, fields], { broker }) => {
    const saved = await save(broker, { auth_type: authType, params })
    expect(saved.status).toBe(201)
    const profile = await broker.get<ProviderProfile>(`/providers/${saved.body.id}`)
    expect(profile.body).toMatchObject({ auth_type: authType, strategy, redirect_uri: null, verify: 'best_effort' })
    expect(profile.body).not.toHaveProperty('client_id')
    expect(Object.keys(Object(profile.body.credential_schema?.['properties']))).toEqual(fields)
  },
)

test('the fields of a schema come back in the order in which they were written', async ({ broker }) => {
  const properties = { zone: key, api_key: key, b: key, account: key, a: key }
  const saved = await save(broker, withSchema(properties))
  const profile = await broker.get<ProviderProfile>(`/providers/${saved.body.id}`)
  expect(Object.keys(Object(profile.body.credential_schema?.['properties']))).toEqual(Object.keys(properties))
})

test('a profile never changes its kind', async ({ broker }) => {
  const { providerId } = await registerStatic(broker)
  const changed = await broker.send('PATCH', `/providers/${providerId}`, { body: { auth_type: 'basic_auth' } })
  expect(changed).toMatchObject({ status: 422, body: { details: { field: 'auth_type' } } })
})

test('[A3] once an account is connected, neither its fields nor where they are sent can change', async ({ broker }) => {
  const api = await startApi()
  const { providerId, state } = await requestStatic(broker, triedAt(api))
  expect((await capture(broker, state)).status).toBe(200)
  const patch = (body: Fields) => broker.send('PATCH', `/providers/${providerId}`, { body })

  expect(await patch({ api_base_url: 'http://127.0.0.1:9/v1' })).toMatchObject({
    status: 422,
    body: { details: { field: 'api_base_url' } },
  })
  expect(await patch({ user_info_endpoint: 'http://127.0.0.1:9/v1/me' })).toMatchObject({
    status: 422,
    body: { details: { field: 'user_info_endpoint' } },
  })
  expect(await patch({ params: { value_prefix: 'Bearer ', credential_field: 'token' } })).toMatchObject({
    status: 422,
    body: { details: { field: 'params' } },
  })
  expect(await patch({ params: { value_prefix: 'Bearer ', header_name: 'User-Agent' } })).toMatchObject({
    status: 422,
    body: { details: { field: 'params' } },
  })
  expect((await patch({ description: 'other words', params: { value_prefix: 'Token ' } })).status).toBe(200)
})

test('[C5] values that do not fit are refused by name, and none is repeated', async ({ broker }) => {
  const schema = {
    type: 'object',
    required: ['api_key', 'port'],
    properties: { api_key: { ...key, minLength: 8, pattern: '^sk_' }, port: { type: 'integer', maximum: 99 } },
  }
  const wrong: readonly (readonly [credentials: Fields, field: string, rule: string])[] = [
    [{ port: 1 }, 'api_key', 'required'],
    [{ api_key: '  ', port: 1 }, 'api_key', 'required'],
    [{ api_key: 'sk_', port: 1 }, 'api_key', 'minLength'],
    [{ api_key: 'pk_12345', port: 1 }, 'api_key', 'pattern'],
    [{ api_key: 'sk_1234\r\nX-A: b', port: 1 }, 'api_key', 'single_line'],
    [{ api_key: 'sk_12345\0', port: 1 }, 'api_key', 'single_line'],
    [{ api_key: 'sk_12345\n', port: 1 }, 'api_key', 'single_line'],
    [{ api_key: 'sk_1234“', port: 1 }, 'api_key', 'header_value'],
    [{ api_key: `sk_${'a'.repeat(9000)}`, port: 1 }, 'api_key', 'maxLength'],
    [{ api_key: ['sk_12345'], port: 1 }, 'api_key', 'type'],
    [{ api_key: 'sk_12345', port: '1' }, 'port', 'type'],
    [{ api_key: 'sk_12345', port: 100 }, 'port', 'maximum'],
    [{ api_key: 'sk_12345', port: 1, constructor_: 'x' }, 'constructor_', 'additionalProperties'],
  ]
  for (const [credentials, field, rule] of wrong) {
    const { state } = await requestStatic(broker, { params: { credential_schema: schema } })
    const answer = await capture(broker, state, credentials)
    expect(answer, rule).toMatchObject({ status: 422, body: { code: 'invalid_credentials' } })
    expect(answer.body.details?.fields?.[0], rule).toMatchObject({ field, rule })
    expect(answer.text, rule).not.toContain('12345')
  }
})

test('[C6] no pattern and no value hold up the process', async ({ broker }) => {
  for (const pattern of ['^(a|a)*$', '^([a-z]|[a-z0-9])+$', '^(a+)+$', String.raw`^\s*[\w-]+\s*[\w-]*\s*[\w-]*$`]) {
    const { state } = await requestStatic(broker, withKey({ pattern }))
    const began = performance.now()
    const answer = await capture(broker, state, { api_key: `${'a'.repeat(4000)}!` })
    expect(answer.body.details?.fields?.[0], pattern).toMatchObject({ field: 'api_key', rule: 'pattern' })
    expect(performance.now() - began, pattern).toBeLessThan(5_000)
  }
})

test('a user name with a colon is refused, and the blanks of a password are its own', async ({ broker }) => {
  const first = await requestStatic(broker, { auth_type: 'basic_auth', params: {} })
  const refusal = await capture(broker, first.state, { username: 'a:b', password: 'c' })
  expect(refusal.body.details?.fields?.[0]).toMatchObject({ field: 'username', rule: 'username_colon' })
  expect((await capture(broker, first.state, { username: ' a ', password: ' c ' })).status).toBe(200)
  const token = await broker.get<{ credentials: unknown }>(`/connections/${first.connection_id}/token`)
  expect(token.body.credentials).toEqual({ username: 'a', password: ' c ' })
})

test('limits that leave one number are limits', async ({ broker }) => {
  const port = { exclusiveMinimum: 5, exclusiveMaximum: 7 }
  expect((await save(broker, withPort(port))).status).toBe(201)
})

test('a password may be empty where its schema says so, on the page as well', async ({ broker }) => {
  const { properties, ...schema } = {
    type: 'object',
    required: ['username', 'password'],
    properties: { username: { ...key, minLength: 1 }, password: { ...key, minLength: 0 } },
  }
  const params = { credential_schema: { ...schema, properties } }
  const { state, connection_id: id } = await requestStatic(broker, { auth_type: 'basic_auth', params })
  const empty = await capture(broker, state, { username: '', password: '' })
  expect(empty.body.details?.fields).toMatchObject([{ field: 'username', rule: 'required' }])
  expect((await capture(broker, state, { username: goodKey, password: '' })).status).toBe(200)
  expect((await readToken(broker, id)).body.credentials).toEqual({ username: goodKey, password: '' })

  const profile = await registerStatic(broker, { auth_type: 'basic_auth', params })
  const opened = await openPageFor(broker, profile.name)
  const answer = await submitPage(opened, { 'credentials[username]': goodKey, 'credentials[password]': '' })
  expect(returned(answer)).toMatchObject({ status: 'success' })
})

test('what is pasted with blanks around is stored without them', async ({ broker }) => {
  const { state, connection_id } = await requestStatic(broker)
  expect((await capture(broker, state, { api_key: `  ${goodKey}  ` })).status).toBe(200)
  const token = await broker.get<{ credentials: unknown }>(`/connections/${connection_id}/token`)
  expect(token.body.credentials).toEqual({ api_key: goodKey })
})
