import type { FastifyRequest } from 'fastify'

export type HeaderValue =
  | { readonly kind: 'absent' }
  | { readonly kind: 'one'; readonly value: string }
  /** Sent more than once, empty, or longer than any credential. */
  | { readonly kind: 'faulty' }

const longestCredential = 2048

/**
 * A header that must not be repeated. Node drops some repeated headers and joins others, and either could hide what a
 * proxy in front has read, so the lines are counted as they came.
 *
 * @param name - in lower case
 */
export function readHeader(request: FastifyRequest, name: string): HeaderValue {
  const [value, ...others] = request.raw.headersDistinct[name] ?? []
  if (value === undefined) return { kind: 'absent' }
  const isFaulty = others.length > 0 || value === '' || value.length > longestCredential
  return isFaulty ? { kind: 'faulty' } : { kind: 'one', value }
}

/** The credential of `Authorization: Bearer`, the scheme in any case (RFC 9110 §11.1); other schemes count as absent. */
export function readBearer(request: FastifyRequest): HeaderValue {
  const header = readHeader(request, 'authorization')
  if (header.kind !== 'one') return header
  const [, token] = /^bearer(?: (.*))?$/i.exec(header.value) ?? [undefined, null]
  if (token === null) return { kind: 'absent' }
  return token === undefined || token === '' ? { kind: 'faulty' } : { kind: 'one', value: token }
}
