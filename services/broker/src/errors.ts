import { AppError, type PageKind } from '@nexus/service'
import { translateDatabaseError } from './db/database-errors.ts'
import { ProviderError } from './oauth/provider-errors.ts'

/** Turns what libraries and lower layers throw into errors with a code; undefined for what nobody expected. */
export function translateBrokerError(error: unknown): AppError | undefined {
  if (error instanceof ProviderError) return fromProvider(error)
  const translated = translateDatabaseError(error)
  return translated instanceof AppError ? translated : undefined
}

function fromProvider(error: ProviderError): AppError {
  const isAway = error.kind === 'unavailable' || error.kind === 'address'
  const options = { cause: error, retryAfterSeconds: error.retryAfterSeconds ?? 5 }
  return isAway
    ? new AppError('provider_unavailable', 'The provider cannot be reached right now.', options)
    : new AppError('provider_rejected', 'The provider did not answer as its protocol demands.', { cause: error })
}

/** What a person sees of an error on one of the pages. */
export function pageKindOf(error: AppError): PageKind | undefined {
  if (error.code === 'provider_unavailable' || error.code === 'provider_rejected') return 'provider-problem'
  return undefined
}
