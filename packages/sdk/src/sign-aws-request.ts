import { AwsV4Signer } from 'aws4fetch'
import { bytesOf, mergeHeaders, withBody } from './derive-request.ts'
import { toHex } from './encoding.ts'
import { assertHeaderValue, optionalText, requireField, textOr } from './read-fields.ts'
import type { AwsSigV4Strategy, CredentialFields } from './strategy.ts'

/** What proxies and clients change or add on the way: a signature over it would break. AWS's own SDKs sign none of it. */
const unsigned =
  /^(authorization|accept-encoding|cache-control|connection|content-length|cookie|expect|from|keep-alive|max-forwards|pragma|referer|te|trailer|transfer-encoding|upgrade|user-agent|x-amzn-trace-id|traceparent|tracestate|proxy-.*|sec-.*)$/

/**
 * AWS Signature Version 4 in the `Authorization` header, over the body's hash, the host and every header that arrives as
 * it is sent.
 *
 * @throws NexusError `strategy_not_applicable`
 */
export async function signAwsRequest(
  request: Request,
  config: AwsSigV4Strategy['config'],
  credentials: CredentialFields,
  now: Date,
): Promise<Request> {
  const service = requireField(config, 'service')
  const region = textOr(config, 'region', 'us-east-1')
  const accessKeyId = requireField(credentials, 'access_key')
  const secretAccessKey = requireField(credentials, 'secret_key')
  const sessionToken = optionalText(credentials, 'session_token')
  for (const [field, value] of Object.entries({ access_key: accessKeyId, session_token: sessionToken ?? '' })) {
    assertHeaderValue(value, field)
  }

  const url = withoutPlus(request.url)
  const headers = new Headers(request.headers)
  // of an earlier signature
  for (const name of ['authorization', 'x-amz-date', 'x-amz-security-token']) headers.delete(name)
  const isStream = headers.has('x-amz-content-sha256')
  const body = isStream ? undefined : await bytesOf(request)
  // S3 wants the hash as a header too; by itself the signer would leave the body unsigned there
  if (service === 's3' && !isStream) headers.set('x-amz-content-sha256', await sha256Hex(body ?? new Uint8Array()))

  const signer = new AwsV4Signer({
    method: request.method,
    url,
    headers: signable(headers),
    ...(body !== undefined && { body }),
    accessKeyId,
    secretAccessKey,
    ...(sessionToken !== undefined && sessionToken !== '' && { sessionToken }),
    service,
    region,
    datetime: now.toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    allHeaders: true,
  })
  const signed = await signer.sign()
  const all = mergeHeaders(headers, Object.fromEntries(signed.headers))
  if (isStream) return new Request(new Request(url, request), { headers: all })
  return withBody(request, { url, headers: all, body })
}

/**
 * A plus is a space to some and itself to others, so the signature would be over something else than what the server
 * reads. In a path it is itself (RFC 3986 §3.3), in a query a space (as URLSearchParams has it).
 */
function withoutPlus(address: string): string {
  const url = new URL(address)
  url.pathname = url.pathname.replaceAll('+', '%2B')
  url.search = url.search.replaceAll('+', '%20')
  return url.href
}

function signable(given: Headers): Headers {
  const headers = new Headers(given)
  for (const name of given.keys()) if (unsigned.test(name)) headers.delete(name)
  return headers
}

async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
}
