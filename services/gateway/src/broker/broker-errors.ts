import { AppError, type ErrorDetails } from '@nexus/service'
import { isErrorCode, type ErrorCode } from '@nexus/contracts'
import type { WireAnswer } from './answer-collector.ts'
import { TransportBusy } from './broker-transport.ts'

const retryAfterSeconds = 2

/** No whole answer came from the Broker, or none that can be understood. */
export function brokerUnavailable(internalDetail: string, cause?: unknown): AppError {
  return new AppError('broker_unavailable', 'Nexus cannot answer at the moment', {
    retryAfterSeconds,
    internalDetail,
    cause,
  })
}

export function translateTransportError(error: unknown): AppError {
  if (error instanceof TransportBusy) {
    return new AppError('unavailable', 'Too many requests are waiting', { retryAfterSeconds, cause: error })
  }
  return brokerUnavailable('no answer from the Broker', error)
}

/**
 * Refusals that concern this Gateway and not the caller: its API key, its address, its idea of the Broker's routes.
 * Answered as they are they would send the agent's owner looking for a fault of their own.
 */
const refusalsOfTheGateway: Partial<Record<ErrorCode, string>> = {
  missing_api_key: 'the Broker got no API key from this Gateway: set BROKER_API_KEY',
  invalid_api_key: "BROKER_API_KEY is refused by the Broker: set it to one of the Broker's API_KEY",
  forbidden:
    "BROKER_API_KEY is refused for this route by the Broker: set it to one of the Broker's API_KEY, not to ADMIN_API_KEY",
  address_not_allowed: "the Broker's ALLOWED_CIDRS does not admit the address of this Gateway",
  route_not_found:
    'the Broker does not know this route: upgrade the Broker before the Gateway, or correct BROKER_BASE_URL',
}

/** The Broker's error as the Gateway's own: code, message, details and Retry-After pass, whatever else it said does not. */
export function translateBrokerError(answer: WireAnswer): AppError {
  const body = readErrorBody(answer.body)
  if (body === undefined) return brokerUnavailable(`answer ${answer.status} is not an error of the Broker`)
  const refusal = refusalsOfTheGateway[body.code]
  if (refusal !== undefined) return brokerUnavailable(refusal)
  const retryAfter = readSeconds(answer.headers['retry-after'])
  return new AppError(body.code, body.message, {
    internalDetail: `answered by the Broker with ${answer.status}`,
    ...(body.details === undefined ? {} : { details: body.details }),
    ...(retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter }),
  })
}

type BrokerErrorBody = {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails | undefined
}

function readErrorBody(bytes: Buffer): BrokerErrorBody | undefined {
  const body = parseObject(bytes)
  const { code, message, details } = body ?? {}
  if (typeof code !== 'string' || !isErrorCode(code) || typeof message !== 'string') return undefined
  return { code, message, details: isObject(details) ? details : undefined }
}

function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readSeconds(value: WireAnswer['headers'][string]): number | undefined {
  return typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : undefined
}
