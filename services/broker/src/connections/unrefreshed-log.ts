import type { AppError, Logger } from '@nexus/service'

const windowMs = 60_000
const mostPerWindow = 100

/**
 * Tells the log which living tokens were served though they could not be refreshed: each connection once a minute, and a
 * hundred of them at most. While a provider is away every read of its tokens is one of those; the metric counts them all.
 */
export function createUnrefreshedLog(
  logger: Pick<Logger, 'warn'>,
  now: () => number,
): (connectionId: string, error: AppError) => void {
  const told = new Set<string>()
  let windowEnds = -Infinity

  return (connectionId, { code }) => {
    if (now() >= windowEnds) {
      told.clear()
      windowEnds = now() + windowMs
    }
    if (told.has(connectionId) || told.size >= mostPerWindow) return
    told.add(connectionId)
    logger.warn({ connection_id: connectionId, details: { code } }, 'a token was served unrefreshed')
  }
}
