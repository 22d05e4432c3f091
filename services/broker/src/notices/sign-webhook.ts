import { createHmac } from 'node:crypto'
import type { Secret } from '@nexus/config'

export type WebhookMessage = {
  /** Without a dot, since dots separate what is signed. */
  readonly id: string
  /** Seconds since 1970, of this attempt. */
  readonly timestamp: number
  /** Exactly what is sent. */
  readonly body: string
}

/**
 * The value of `webhook-signature` (Standard Webhooks 1.0.0, Signature scheme): HMAC-SHA256 over id, timestamp and body,
 * once per secret, separated by spaces. Receivers accept a message of which one signature fits, so that secrets can be
 * exchanged without a gap.
 */
export function signWebhook(secrets: readonly Secret<Buffer>[], { id, timestamp, body }: WebhookMessage): string {
  return secrets
    .map((secret) => createHmac('sha256', secret.reveal()).update(`${id}.${timestamp}.${body}`).digest('base64'))
    .map((signature) => `v1,${signature}`)
    .join(' ')
}
