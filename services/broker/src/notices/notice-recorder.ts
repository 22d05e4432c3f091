import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

/** What operators and apps are told of (docs/webhooks.md). */
export type ConnectionNotice = 'connection.attention_required' | 'connection.active' | 'connection.revoked'
export type ProviderNotice = 'provider.alarm' | 'provider.recovered'

/** Writes notices into the outbox, in the transaction of what they tell of: neither exists without the other. */
export type NoticeRecorder = {
  /** After the statement that changed the connection: the notice tells its new status and the reason. */
  readonly aboutConnection: (transaction: Queryable, type: ConnectionNotice, connectionId: string) => Promise<void>
  readonly aboutProvider: (transaction: Queryable, type: ProviderNotice, providerId: string) => Promise<void>
}

/** @param isWanted - false where no WEBHOOK_URL is configured: nothing is written then. */
export function createNoticeRecorder(createId: () => string, isWanted: boolean): NoticeRecorder {
  return {
    async aboutConnection(transaction, type, connectionId) {
      if (isWanted) await store.insertConnectionNotice(transaction, createId(), type, connectionId)
    },
    async aboutProvider(transaction, type, providerId) {
      if (isWanted) await store.insertProviderNotice(transaction, createId(), type, providerId)
    },
  }
}
