import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ErrorBody } from '@nexus/contracts'
import type { Logger } from './logger.ts'

type ClientErrorContext = { readonly logger: Logger; readonly createId: () => string }

type RefusedBytes = { readonly status: 400 | 408 | 431; readonly message: string }

/** Answers what Node's HTTP parser refused: there is no request yet, so this speaks to the socket. */
export function answerClientError(
  error: Error & { readonly code?: string },
  socket: Socket,
  context: ClientErrorContext,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) {
    socket.destroy()
    return
  }
  const { status, message } = describe(error.code)
  const requestId = context.createId()
  context.logger.debug({ request_id: requestId, code: error.code, status }, 'connection refused: not HTTP we accept')
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body: ErrorBody = { code: 'invalid_request', message, request_id: requestId }
  socket.end(writeResponse(status, JSON.stringify(body), requestId))
}

function describe(code: string | undefined): RefusedBytes {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, message: 'The headers or the URL are too long' }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, message: 'The request took too long to arrive' }
  return { status: 400, message: 'This is not a valid HTTP request' }
}

function writeResponse(status: RefusedBytes['status'], body: string, requestId: string): string {
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Referrer-Policy: no-referrer',
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
