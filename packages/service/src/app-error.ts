import type { ErrorCode } from '@nexus/contracts'

export type ErrorDetails = Readonly<Record<string, unknown>>

export type AppErrorOptions = {
  /** What went wrong underneath; logged, never answered. */
  readonly cause?: unknown
  /** Machine-readable facts for the caller; part of the answer. */
  readonly details?: ErrorDetails
  /** Answered as `Retry-After`, rounded up to whole seconds. */
  readonly retryAfterSeconds?: number
  /** What an operator needs to know and a caller must not; logged only. */
  readonly internalDetail?: string
}

/**
 * A failure with a stable code. Its message is public: it is written for the caller and must not speak of the inside
 * (use `internalDetail` and `cause` for that). The error handler alone turns it into an HTTP status.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly details: ErrorDetails | undefined
  readonly retryAfterSeconds: number | undefined
  readonly internalDetail: string | undefined

  constructor(code: ErrorCode, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
    this.retryAfterSeconds = options.retryAfterSeconds
    this.internalDetail = options.internalDetail
  }
}

export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError
}

/** `invalid_request` for one field, in the form of those that a schema refuses. @param problem - completes "the field …" */
export function invalidField(field: string, problem: string): AppError {
  return new AppError('invalid_request', `${field}: ${problem}`, { details: { fields: [{ field, problem }] } })
}
