import type { IncomingMessage } from 'node:http'

const saneToken = /^[A-Za-z0-9._-]{8,64}$/

/**
 * The id of a request: the caller's `X-Request-Id` if it is a sane token, else a new one. Node joins a repeated header
 * with a comma, which no sane token contains, so only a single value is taken.
 */
export function createRequestIds(createId: () => string): (request: Pick<IncomingMessage, 'headers'>) => string {
  return (request) => {
    const given = request.headers['x-request-id']
    return typeof given === 'string' && saneToken.test(given) ? given : createId()
  }
}
