import { createHash, createHmac } from 'node:crypto'

/** A request as it came over the wire. */
export type WireRequest = {
  readonly method: string
  /** The request target, byte for byte. */
  readonly target: string
  /** In order of arrival, repetitions included. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

export type AwsExpectation = {
  readonly accessKey: string
  readonly secretKey: string
  readonly sessionToken?: string | undefined
  readonly service: string
  readonly region: string
  /** What the signature's time is compared with. Default: now. */
  readonly now?: Date
}

// AWS refuses what is older
const mostSeconds = 15 * 60

/**
 * What is wrong with the AWS Signature Version 4 of a request; undefined: nothing. Written from AWS's description of the
 * algorithm, on `node:crypto`, and shares nothing with the signer it checks.
 */
export function findAwsFault(request: WireRequest, expected: AwsExpectation): string | undefined {
  const shown =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      valueOf(request, 'authorization'),
    ) ?? []
  const [, credential = '', signedHeaders = '', signature] = shown
  if (signature === undefined) return 'no AWS4-HMAC-SHA256 authorization'
  const time = valueOf(request, 'x-amz-date')
  const scope = `${time.slice(0, 8)}/${expected.region}/${expected.service}/aws4_request`
  if (credential !== `${expected.accessKey}/${scope}`) return 'another access key, day, region or service'
  if (Math.abs(parseTime(time) - (expected.now ?? new Date()).getTime()) > mostSeconds * 1000) return 'not of this time'
  if (valueOf(request, 'x-amz-security-token') !== (expected.sessionToken ?? '')) return 'another session token'
  const names = signedHeaders.split(';')
  const unsigned = request.headers
    .map(([name]) => name.toLowerCase())
    .find((name) => /^(host|content-type|x-amz-.*)$/.test(name) && !names.includes(name))
  if (unsigned !== undefined) return `${unsigned} is not signed`
  const bodyHash = sha256(request.body)
  const toldHash = valueOf(request, 'x-amz-content-sha256')
  if (expected.service === 's3' && toldHash === '') return 'S3 needs x-amz-content-sha256'
  if (toldHash !== '' && toldHash !== 'UNSIGNED-PAYLOAD' && toldHash !== bodyHash) return 'another body'
  const canonical = canonicalRequest(request, names, toldHash === '' ? bodyHash : toldHash, expected.service)
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  return sign(expected, scope, toSign) === signature ? undefined : `another signature; expected over:\n${canonical}`
}

function canonicalRequest(request: WireRequest, names: readonly string[], bodyHash: string, service: string): string {
  const [path = '', ...rest] = request.target.split('?')
  const headers = names.map((name) => `${name}:${valueOf(request, name)}\n`).join('')
  const parts = [canonicalPath(path, service), canonicalQuery(rest.join('?')), headers, names.join(';'), bodyHash]
  return [request.method, ...parts].join('\n')
}

/** S3 takes a key as it is; elsewhere the path is normalized and what arrived is encoded once more. */
function canonicalPath(path: string, service: string): string {
  if (service === 's3') return path.split('/').map(decode).map(encode).join('/')
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(encode(segment))
  }
  const isFolder = segments.length > 0 && /\/\.{0,2}$/.test(path)
  return `/${segments.join('/')}${isFolder ? '/' : ''}`
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return [encode(decode(name)), encode(decode(value.join('=')))] as const
  })
  return pairs
    .toSorted(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map((pair) => pair.join('='))
    .join('&')
}

/** By code point, as sorting by locale is not. */
function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Every byte but the unreserved ones of RFC 3986 §2.3. */
function encode(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

function decode(text: string): string {
  return decodeURIComponent(text)
}

/** All values of a header in one line, as they are signed. */
function valueOf(request: WireRequest, name: string): string {
  return request.headers
    .filter(([candidate]) => candidate.toLowerCase() === name)
    .map(([, value]) => value.trim().replaceAll(/ +/g, ' '))
    .join(',')
}

function parseTime(time: string): number {
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'))
}

function sign({ secretKey }: AwsExpectation, scope: string, toSign: string): string {
  const key = scope.split('/').reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretKey}`)
  return hmac(key, toSign).toString('hex')
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
