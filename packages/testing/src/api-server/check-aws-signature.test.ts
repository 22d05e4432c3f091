import { describe, expect, test } from 'vitest'
import { type AwsVector, awsVectorKeys, awsVectors, awsVectorTime } from './aws-vectors.ts'
import { type AwsExpectation, type WireRequest, findAwsFault } from './check-aws-signature.ts'

const { access_key: accessKey, secret_key: secretKey } = awsVectorKeys

function signedRequest(vector: AwsVector): WireRequest {
  const { method, target, host, service, region, signed_headers: signed, signature } = vector
  const scope = `${awsVectorTime.slice(0, 8)}/${region}/${service}/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${signed}, Signature=${signature}`
  const headers: WireRequest['headers'] = [
    ['Host', host],
    ...vector.headers,
    ['X-Amz-Date', awsVectorTime],
    ...(vector.session_token === undefined ? [] : [['X-Amz-Security-Token', vector.session_token] as const]),
    ['Authorization', authorization],
  ]
  return { method, target, headers, body: Buffer.from(vector.body) }
}

function expectationOf({ service, region, session_token: sessionToken }: AwsVector): AwsExpectation {
  return { accessKey, secretKey, sessionToken, service, region, now: new Date('2015-08-30T12:36:00Z') }
}

test('there are vectors of both sources', () => {
  expect(awsVectors.filter(({ source }) => source === 'AWS test suite')).toHaveLength(34)
  expect(awsVectors.filter(({ source }) => source.startsWith('botocore'))).toHaveLength(12)
})

test.each(awsVectors)('the signature of $source, $name, is accepted', (vector) => {
  expect(findAwsFault(signedRequest(vector), expectationOf(vector))).toBeUndefined()
})

describe('a signature is refused', () => {
  const vector = awsVectors.find(({ name }) => name === 'S3: an upload')!
  const request = signedRequest(vector)
  const expected = expectationOf(vector)
  const withHeader = (name: string, value: string): WireRequest => ({
    ...request,
    headers: [...request.headers.filter(([other]) => other.toLowerCase() !== name), [name, value]],
  })

  test.each<[string, WireRequest, AwsExpectation, RegExp]>([
    ['over another body', { ...request, body: Buffer.from('hellO') }, expected, /another body/],
    ['over another target', { ...request, target: '/keY' }, expected, /another signature/],
    ['over another method', { ...request, method: 'POST' }, expected, /another signature/],
    ['over another header', withHeader('x-amz-acl', 'public-read'), expected, /another signature/],
    ['without a header that must be in it', withHeader('x-amz-storage-class', 'x'), expected, /is not signed/],
    ['that is none', withHeader('authorization', 'Bearer x'), expected, /no AWS4-HMAC-SHA256/],
    ['with another secret', request, { ...expected, secretKey: 'x' }, /another signature/],
    ['with another access key', request, { ...expected, accessKey: 'x' }, /another access key/],
    ['for another region', request, { ...expected, region: 'us-east-1' }, /another access key/],
    ['without the session token', request, { ...expected, sessionToken: 't' }, /another session token/],
    ['of an hour ago', request, { ...expected, now: new Date('2015-08-30T13:36:00Z') }, /not of this time/],
  ])('%s', (_, changed, expectation, fault) => {
    expect(findAwsFault(changed, expectation)).toMatch(fault)
  })
})
