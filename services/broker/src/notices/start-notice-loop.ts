import { type BackgroundLoop, startBackgroundLoop } from '../maintenance/background-loop.ts'
import { ProviderError } from '../oauth/provider-errors.ts'
import { abandonOutdatedNotices } from './abandon-notices.ts'
import { type DeliverNoticesDeps, createNoticeDelivery } from './deliver-notices.ts'
import type { Webhook } from './send-notice.ts'

export type NoticeLoopDeps = Omit<DeliverNoticesDeps, 'webhook'> & {
  readonly assertUrlAllowed: (url: string) => Promise<void>
}

const deliverEveryMs = 2_000
const dropEveryMs = 60_000

/** Starts what becomes of the outbox: delivery, or without a webhook the end of what an earlier configuration left there. */
export function startNoticeLoop(deps: NoticeLoopDeps, webhook: Webhook | undefined): BackgroundLoop {
  const { logger, random } = deps
  if (webhook === undefined) {
    const work = (): Promise<boolean> => abandonOutdatedNotices(deps)
    return startBackgroundLoop({ name: 'drop outdated notices', everyMs: dropEveryMs, work, logger, random })
  }
  void warnOfRefusedUrl(deps, webhook)
  const work = createNoticeDelivery({ ...deps, webhook })
  return startBackgroundLoop({ name: 'deliver notices', everyMs: deliverEveryMs, work, logger, random })
}

/** Said at the start, where an operator looks; refused it is at every attempt, on the address of that moment (P4). */
async function warnOfRefusedUrl({ assertUrlAllowed, logger }: NoticeLoopDeps, { url }: Webhook): Promise<void> {
  try {
    await assertUrlAllowed(url.reveal())
  } catch (error) {
    const reason = error instanceof ProviderError ? error.message : 'could not be checked'
    logger.warn({ reason }, 'WEBHOOK_URL is refused: no notice can be delivered until it is changed')
  }
}
