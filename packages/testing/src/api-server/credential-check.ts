import { createHmac, timingSafeEqual } from 'node:crypto'
import { type AwsExpectation, type WireRequest, findAwsFault } from './check-aws-signature.ts'

/** How an API wants its credential, and which one it accepts. */
export type Credential =
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'query'; readonly name: string; readonly value: string }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'hmac'
      readonly header: string
      readonly secret: string
      readonly algorithm?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
      readonly encoding?: 'hex' | 'base64' | 'base64url'
    }
  | ({ readonly kind: 'aws' } & AwsExpectation)

/** What is wrong with the credential of a request, in words; undefined: nothing. */
export function findCredentialFault(request: WireRequest, credential: Credential): string | undefined {
  switch (credential.kind) {
    case 'header':
      return compare(valuesOf(request, credential.name), credential.value, `header ${credential.name}`)
    case 'query': {
      const { searchParams } = new URL(request.target, 'http://api')
      return compare(searchParams.getAll(credential.name), credential.value, `parameter ${credential.name}`)
    }
    case 'basic': {
      const pair = Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')
      return compare(valuesOf(request, 'authorization'), `Basic ${pair}`, 'basic authentication')
    }
    case 'hmac': {
      const { algorithm = 'sha256', encoding = 'hex', header, secret } = credential
      const mac = createHmac(algorithm, secret).update(request.body).digest(encoding)
      return compare(valuesOf(request, header), mac, `signature in ${header}`)
    }
    case 'aws':
      return findAwsFault(request, credential)
  }
}

function compare(values: readonly string[], expected: string, what: string): string | undefined {
  const [value, ...more] = values
  if (value === undefined) return `no ${what}`
  if (more.length > 0) return `more than one ${what}`
  const [shown, wanted] = [Buffer.from(value), Buffer.from(expected)]
  return shown.length === wanted.length && timingSafeEqual(shown, wanted) ? undefined : `another ${what}`
}

function valuesOf(request: WireRequest, name: string): readonly string[] {
  return request.headers
    .filter(([candidate]) => candidate.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value)
}
