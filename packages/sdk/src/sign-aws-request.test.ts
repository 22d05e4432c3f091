import { type AwsVector, awsVectorKeys, awsVectors, startApiServer } from '@nexus/testing'
import { describe, expect, test } from 'vitest'
import { applyStrategy } from './apply-strategy.ts'
import type { AwsSigV4Strategy } from './strategy.ts'

const now = (): Date => new Date('2015-08-30T12:36:00.789Z')

/** What fetch cannot send as the vector has it, so that there is no request to sign. */
const notForFetch: Readonly<Record<string, string>> = {
  'get-header-key-duplicate': 'fetch joins repeated headers with a comma and a space',
  'get-header-value-order': 'fetch joins repeated headers with a comma and a space',
  'get-space': 'a space goes over the wire encoded, and what is encoded is encoded again',
  'get-utf8': 'UTF-8 goes over the wire encoded, and what is encoded is encoded again',
}

function requestOf({ method, host, target, headers, body }: AwsVector): Request {
  // S3's hash of the body is for the signer to add
  const given = headers
    .filter(([name]) => name !== 'X-Amz-Content-SHA256')
    .map(([name, value]): [string, string] => [name, value])
  // what has no content type gets none, as a text would
  const bytes = body === '' ? {} : { body: new TextEncoder().encode(body) }
  const scheme = host.startsWith('127.') ? 'http' : 'https'
  return new Request(`${scheme}://${host}${target}`, { method, headers: given, ...bytes })
}

function sign(vector: AwsVector): Promise<Request> {
  const { service, region, session_token } = vector
  const credentials = { ...awsVectorKeys, ...(session_token !== undefined && { session_token }) }
  return applyStrategy(requestOf(vector), { type: 'aws_sigv4', config: { service, region } }, credentials, { now })
}

const sendable = awsVectors.filter(({ name }) => !(name in notForFetch))

test('only the vectors that fetch cannot send are left out', () => {
  expect(sendable).toHaveLength(42)
})

test.each(sendable)('signs as $source has it: $name', async (vector) => {
  const { signed_headers: signed, signature, service, region } = vector
  const request = await sign(vector)
  expect(request.headers.get('authorization')).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/${region}/${service}/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
  )
  expect(request.headers.get('x-amz-date')).toBe('20150830T123600Z')
  expect(await request.text()).toBe(vector.body)
})

const strategy: AwsSigV4Strategy = { type: 'aws_sigv4', config: { service: 's3', region: 'eu-central-1' } }
const expected = { kind: 'aws', accessKey: 'AKID', secretKey: 'secret', service: 's3', region: 'eu-central-1' } as const
const credentials = { access_key: 'AKID', secret_key: 'secret' }

describe('what arrives over HTTP', () => {
  test.each<[string, string, RequestInit]>([
    ['a body of text', '/k', { method: 'PUT', body: 'grüße' }],
    ['a form', '/k', { method: 'POST', body: new URLSearchParams({ a: 'b c' }) }],
    ['a multipart form', '/k', { method: 'POST', body: Object.assign(new FormData(), {}) }],
    ['a body of bytes', '/k', { method: 'PUT', body: new Uint8Array([0, 255, 128]) }],
    ['a method in lower case', '/k', { method: 'delete' }],
    ['a plus in path and query', '/a+b?c=d+e&f=%2B', {}],
    ['marks in path and query', "/it's(1)*!?q=it's(1)*!", {}],
    ['a query without values', '/k?acl&versioning=', {}],
    ['a path that ends at nothing', '/a//b/', {}],
    ['headers that a client adds or changes', '/k', { headers: { 'user-agent': 'x', 'accept-encoding': 'gzip' } }],
    ['spaces within a header', '/k', { headers: { 'x-amz-meta-note': 'a   b' } }],
  ])('%s: the signature holds', async (_, target, init) => {
    await using api = await startApiServer(expected)
    const request = await applyStrategy(new Request(`${api.url}${target}`, init), strategy, credentials)
    const response = await fetch(request)
    expect(api.requests[0]?.fault).toBeUndefined()
    expect(response.status).toBe(200)
  })

  test('a plus arrives as what it means: itself in a path, a space in a query', async () => {
    await using api = await startApiServer(expected)
    await fetch(await applyStrategy(new Request(`${api.url}/a+b?c=d+e`), strategy, credentials))
    expect(api.requests[0]?.target).toBe('/a%2Bb?c=d%20e')
  })

  test('a request that was signed before is signed anew', async () => {
    await using api = await startApiServer(expected)
    const stale = { ...credentials, session_token: 'old' }
    const first = await applyStrategy(new Request(`${api.url}/k`), strategy, stale, { now })
    await fetch(await applyStrategy(first, strategy, credentials))
    expect(api.requests[0]?.fault).toBeUndefined()
  })

  test('a body that brings its own x-amz-content-sha256 stays a stream', async () => {
    await using api = await startApiServer(expected)
    const { promise: signed, resolve: hasSigned } = Promise.withResolvers<void>()
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode('begin, '))
        await signed
        controller.enqueue(new TextEncoder().encode('end'))
        controller.close()
      },
    })
    const headers = { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }
    const request = new Request(`${api.url}/k`, { method: 'PUT', body, headers, duplex: 'half' })
    const ready = await applyStrategy(request, strategy, credentials)
    hasSigned()
    await fetch(ready)
    expect(api.requests[0]).toMatchObject({ fault: undefined, body: Buffer.from('begin, end') })
  })
})

test.each([
  ['access_key', { secret_key: 's' }],
  ['secret_key', { access_key: 'a' }],
  ['access_key', { access_key: 'a\nb', secret_key: 's' }],
  ['session_token', { access_key: 'a', secret_key: 's', session_token: 'a\r\nb' }],
])('refuses without a usable %s', async (field, fields) => {
  await expect(applyStrategy(new Request('https://s3.amazonaws.com'), strategy, fields)).rejects.toMatchObject({
    code: 'strategy_not_applicable',
    details: { field },
  })
})
