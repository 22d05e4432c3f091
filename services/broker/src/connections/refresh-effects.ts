import type { Queryable } from '../db/database.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import * as store from './store.ts'

/**
 * Active → attention_required: only the connection's user can help. In the transaction of the caller, who has made sure
 * that the token of which it tells is still the one (data.md, Refresh 8), and records the event.
 *
 * @returns false where the connection is not active any more; then nothing was written.
 */
export async function requireAttention(
  transaction: Queryable,
  notices: NoticeRecorder,
  connectionId: string,
  reason: string,
): Promise<boolean> {
  if (!(await store.updateToAttentionRequired(transaction, connectionId, reason))) return false
  await notices.aboutConnection(transaction, 'connection.attention_required', connectionId)
  return true
}

/** What a refresh granted, where the provider said so: it may be narrower than before (RFC 6749 §6). */
export function narrowScopes(transaction: Queryable, connectionId: string, scopes: readonly string[]): Promise<void> {
  return store.updateGrantedScopes(transaction, connectionId, scopes)
}
