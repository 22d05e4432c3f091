import type { Keyring } from '@nexus/crypto'
import type { Logger } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { type BackgroundLoop, startBackgroundLoop } from '../maintenance/background-loop.ts'
import { selectKeys } from './store.ts'

/** What an operator may have changed under a running Broker. */
export type KeyState = {
  /** ENCRYPTION_KEY may not seal any more; this Broker still does. */
  readonly isPrimaryRetired: boolean
  /** Registered keys that this Broker lacks: what another one seals with them it cannot open. */
  readonly missing: readonly string[]
}

export type KeyWatchDeps = {
  readonly database: Queryable
  readonly keyring: Keyring
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly onState: (state: KeyState) => void
}

// with the quarter that the loop gives or takes, within a minute
const everyMs = 45_000

/** Notices within a minute that the keys of a running Broker are no longer the ones it should have, and says what to do. */
export function watchKeys(deps: KeyWatchDeps): BackgroundLoop {
  const work = async (): Promise<false> => {
    await checkKeyState(deps)
    return false
  }
  return startBackgroundLoop({ name: 'watch the encryption keys', everyMs, work, ...deps })
}

/** One look. It is an error each time, until somebody has done something about it. */
export async function checkKeyState({ database, keyring, logger, onState }: KeyWatchDeps): Promise<void> {
  const registered = await selectKeys(database)
  const living = new Set(registered.filter(({ retiredAt }) => retiredAt === null).map(({ keyId }) => keyId))
  const state: KeyState = {
    isPrimaryRetired: !living.has(keyring.primaryId),
    missing: [...living].filter((keyId) => !keyring.has(keyId)),
  }
  onState(state)
  if (state.isPrimaryRetired) {
    logger.error(
      { key_id: keyring.primaryId, living: [...living] },
      'this Broker still seals with a retired key: restart it with the new ENCRYPTION_KEY (the retired one as an ' +
        'extra key), then run nexus-broker keys rotate again',
    )
  }
  if (state.missing.length > 0) {
    logger.error(
      { missing: state.missing },
      'keys are registered that this Broker does not have: restart it with them in ENCRYPTION_KEYS_EXTRA, before a ' +
        'Broker seals with them',
    )
  }
}
