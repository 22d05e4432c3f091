import type { IncomingHttpHeaders } from 'node:http'
import type { WireAnswer } from '../broker/answer-collector.ts'

/**
 * The headers of a browser that its request keeps. A list of what passes, not of what is taken out: an agent's or
 * operator's credential, a hop-by-hop header or a forged X-Forwarded-* has no way through, whatever it is called.
 */
const keptRequestHeaders = [
  'accept',
  'accept-language',
  'content-type',
  'if-modified-since',
  'if-none-match',
  'origin',
  'purpose',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-purpose',
] as const

/** What of a browser's headers goes on to the Broker; of its cookies only those that Nexus itself set. */
export function pickRequestHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of keptRequestHeaders) {
    const value = headers[name]
    if (typeof value === 'string') picked[name] = value
  }
  const cookies = pickCookies(headers.cookie)
  if (cookies !== '') picked['cookie'] = cookies
  return picked
}

const ownCookie = /^(?:__Host-)?nx-[A-Za-z0-9_-]*=/

/** RFC 6265 §4.2.1. Other blanks belong to the name: without them it would be one with a prefix that no browser has checked. */
const separator = /;[ \t]*/

function pickCookies(header: string | undefined): string {
  const pairs = header?.split(separator).filter((pair) => ownCookie.test(pair)) ?? []
  return pairs.join('; ')
}

/** RFC 9110 §7.6.1, and what each hop says for itself. */
const ownOfEachHop: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
])

/** What of the Broker's headers goes on to the browser: all but hop-by-hop and internal ones, each Set-Cookie as it came. */
export function pickAnswerHeaders(headers: WireAnswer['headers']): Record<string, string | string[]> {
  const named = [headers['connection'] ?? []].flat().flatMap((value) => value.toLowerCase().split(/[\s,]+/))
  const picked: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || ownOfEachHop.has(name) || named.includes(name) || name.startsWith('x-nexus-')) continue
    picked[name] = typeof value === 'string' ? value : [...value]
  }
  return picked
}
