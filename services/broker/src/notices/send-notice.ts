import type { Secret } from '@nexus/config'
import type { OutboundFetch } from '../oauth/outbound-fetch.ts'
import { ProviderError } from '../oauth/provider-errors.ts'
import { readRetryAfterSeconds } from '../oauth/retry-after.ts'
import { signWebhook } from './sign-webhook.ts'
import type { ClaimedNotice } from './store.ts'

/** Where notices go. The URL is a secret too: for many receivers its path is the password. */
export type Webhook = { readonly url: Secret<string>; readonly secrets: readonly Secret<Buffer>[] }

export type SendNoticeDeps = {
  readonly fetch: OutboundFetch
  readonly webhook: Webhook
  /** Milliseconds since 1970: for answers that say when to come back, and not what time it is. */
  readonly databaseNow: () => number
}

export type SendResult =
  | { readonly kind: 'delivered' }
  /** 410: the receiver has said that it wants no more of it. */
  | { readonly kind: 'gone' }
  | {
      readonly kind: 'failed'
      /** For the log: a status, or our own words. */
      readonly reason: string
      readonly retryAfterSeconds?: number | undefined
      /** The receiver is asked too much, and not only by this notice. */
      readonly isOverloaded?: boolean
    }

const sendWithinMs = 10_000

/** Posts a notice in the form of Standard Webhooks 1.0.0. The status decides; the body of the answer is not read (P5). */
export async function sendNotice(
  deps: SendNoticeDeps,
  notice: ClaimedNotice,
  giveUp: AbortSignal,
): Promise<SendResult> {
  const { webhook } = deps
  const { id, claimed_at: timestamp } = notice
  const body = JSON.stringify({ type: notice.type, timestamp: notice.created_at, data: notice.data })
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signWebhook(webhook.secrets, { id, timestamp, body }),
  }
  const signal = AbortSignal.any([giveUp, AbortSignal.timeout(sendWithinMs)])
  try {
    const sent = { method: 'POST', headers, body, signal, ignoresBody: true }
    return readAnswer(await deps.fetch(webhook.url.reveal(), sent), deps.databaseNow())
  } catch (error) {
    if (error instanceof ProviderError) return { kind: 'failed', reason: error.message }
    throw error
  }
}

function readAnswer({ status, ok, headers }: Response, nowMs: number): SendResult {
  if (ok) return { kind: 'delivered' }
  if (status === 410) return { kind: 'gone' }
  const retryAfterSeconds = readRetryAfterSeconds(headers, nowMs)
  return {
    kind: 'failed',
    reason: `status ${status}`,
    retryAfterSeconds,
    isOverloaded: status === 429 || status === 503,
  }
}
