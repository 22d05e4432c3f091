import type { IncomingHttpHeaders } from 'node:http'

/**
 * The second line behind state and cookie: what a browser itself says of where a form was sent from. Our pages send no
 * referrer, so their own forms come with `Origin: null` (Fetch §3.2); that alone says nothing, and Sec-Fetch-Site says it
 * for them. `none` is the person: a page that was sent is loaded again.
 */
export function isFromOwnOrigin(headers: IncomingHttpHeaders, baseUrl: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const { origin } = headers
  return origin === undefined || origin === 'null' || origin === new URL(baseUrl).origin
}
