import type { Queryable } from '../db/database.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import * as store from './store.ts'

/** The provider refuses our client: an alarm on the profile, once, until it accepts it again (data.md, Refresh 8). */
export async function raiseAlarm(
  transaction: Queryable,
  notices: NoticeRecorder,
  providerId: string,
  reason: string,
): Promise<void> {
  if (!(await store.updateAlarm(transaction, providerId, reason))) return
  await notices.aboutProvider(transaction, 'provider.alarm', providerId)
}

/** It accepts our client again. */
export async function clearAlarm(transaction: Queryable, notices: NoticeRecorder, providerId: string): Promise<void> {
  if (!(await store.updateAlarm(transaction, providerId, null))) return
  await notices.aboutProvider(transaction, 'provider.recovered', providerId)
}

/** It was seen to answer a refresh with a new refresh token: after a restore, old ones are not to be presented. */
export function noteRotation(transaction: Queryable, providerId: string): Promise<void> {
  return store.markRotating(transaction, providerId)
}
