import { AppError } from './app-error.ts'

/** The one form of 429: the time to wait stands in the header, and in the body for clients that see no headers. */
export function rateLimited(message: string, retryAfterSeconds: number): AppError {
  return new AppError('rate_limited', message, { retryAfterSeconds, details: { retry_after: retryAfterSeconds } })
}
