import { statusByCode } from '@nexus/contracts'
import { AppError, isAppError } from './app-error.ts'
import { readValidationError } from './validation-details.ts'

/**
 * The one border where Fastify's own errors become ours. What is not listed here is `internal`: a library's message
 * never reaches a caller.
 */
export function translateError(error: unknown): AppError {
  if (isAppError(error)) return statusByCode[error.code] === 500 ? sayNothing(error) : error
  return readValidationError(error) ?? readFrameworkError(error) ?? internalError(error)
}

export function internalError(cause: unknown): AppError {
  return new AppError('internal', silence, { cause })
}

const silence = 'Something went wrong on our side'

/** A 500 keeps its code, which callers branch on, and nothing else. */
function sayNothing(error: AppError): AppError {
  return new AppError(error.code, silence, { cause: error })
}

const frameworkErrors: Readonly<Record<string, (cause: unknown) => AppError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (cause) => new AppError('body_too_large', 'The request body is too large', { cause }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: (cause) =>
    new AppError('unsupported_media_type', 'This Content-Type is not supported here; JSON is application/json', {
      cause,
    }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: (cause) => invalid('The body is not as long as Content-Length says', cause),
  FST_ERR_CTP_EMPTY_JSON_BODY: (cause) => invalid('The body is empty; a JSON document is expected', cause),
  FST_ERR_CTP_INVALID_JSON_BODY: (cause) => invalid('The body is not valid JSON', cause),
  FST_ERR_BAD_URL: (cause) => invalid('The path of the URL is not valid', cause),
  FST_ERR_MAX_PARAM_LENGTH: (cause) => invalid('A part of the path is too long', cause),
  FST_ERR_NOT_FOUND: (cause) => new AppError('route_not_found', 'There is no such route', { cause }),
}

function readFrameworkError(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  if (error.code === 'ECONNRESET' && 'statusCode' in error) return invalid('The request was not sent completely', error)
  return frameworkErrors[error.code]?.(error)
}

function invalid(message: string, cause: unknown): AppError {
  return new AppError('invalid_request', message, { cause })
}
